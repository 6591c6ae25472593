# One image for every service of docker-compose.yml and deploy/kubernetes. It has neither the demo nor the
# embedded database: an installation that needs an image has a database server.
FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/data-platform/bin:$PATH
RUN python -m venv /opt/data-platform
WORKDIR /source
# First what changes rarely. Each file is compared with its hash; pip compiles bytecode while installing.
COPY requirements/image.lock .
RUN pip install --no-deps --require-hashes -r image.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY readers readers
COPY populate populate
COPY dashboard dashboard
COPY data_platform data_platform
RUN pip install --no-deps --no-index --no-build-isolation . && pip uninstall -y uv-build pip

FROM python:3.13-slim-bookworm
# The numbers are those of docker-compose.yml and deploy/kubernetes. A volume for the home, or for the search index
# below it, takes over its owner.
# Parts of large uploads wait in a folder for temporary files, which workers have there (TMPDIR).
RUN groupadd --gid 10001 data-platform \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/data-platform data-platform \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/data-platform /var/lib/data-platform/tmp \
        /var/lib/data-platform/search
COPY --from=build /opt/data-platform /opt/data-platform
ENV PATH=/opt/data-platform/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/data-platform \
    DATA_PLATFORM_HOME=/var/lib/data-platform
USER 10001:10001
WORKDIR /var/lib/data-platform
# docker-compose.yml asks each service what that service can answer; this is for an image that is run by hand.
HEALTHCHECK --interval=1m --timeout=30s --start-period=1m CMD ["data-platform", "status", "--json"]
CMD ["data-platform", "--help"]
