#!/bin/sh
# Fill a folder with the files that docker-compose.yml mounts as secrets: random passwords, random keys for
# the object store, and a certificate for the database with the authority that signed it.
#
#     sh deploy/make-secrets.sh FOLDER [NAME ...]
#
# NAME: further names or addresses under which the database is reached, as db.example.org or 192.0.2.7.
# A file that is there is kept, so passwords and keys of your own can be put there before; an empty one is refused.
set -eu
[ $# -gt 0 ] || { echo "usage: sh deploy/make-secrets.sh FOLDER [NAME ...]" >&2; exit 2; }
folder=$1
shift
command -v openssl >/dev/null || { echo "openssl is missing, which makes the secrets. Install it." >&2; exit 1; }
mkdir -p "$folder"
chmod 700 "$folder" # its files are mounted into containers, whose users are none of this machine's
cd "$folder"
umask 022

refuse_empty() { # files
    for file in "$@"; do
        [ ! -e "$file" ] || [ -n "$(tr -d '[:space:]' <"$file")" ] || {
            echo "$folder/$file is empty. Fill it, or remove it and run this again to have it made." >&2
            exit 1
        }
    done
}

random() { # file, bytes
    [ -e "$1" ] || { secret=$(openssl rand -hex "$2") && printf '%s' "$secret" >"$1.new" && mv "$1.new" "$1"; }
}

refuse_empty ./*
for login in root owner reader worker dashboard steward answers entries notices; do
    random "database_${login}_password" 24
done
random object_store_access_key 10
random object_store_secret_key 20
random questions_key 32
random notices_key 32
random seal_keys 32 # of no use before .env names deploy/sealing.yml
if [ ! -e object_store.json ]; then
    identity='{"name": "data-platform", "actions": ["Admin", "Read", "Write", "List", "Tagging"], "credentials": %s}'
    keys=$(printf '[{"accessKey": "%s", "secretKey": "%s"}]' \
        "$(cat object_store_access_key)" "$(cat object_store_secret_key)")
    # shellcheck disable=SC2059 # the format is the line above
    printf "{\"identities\": [$identity]}\n" "$keys" >object_store.json
fi

certify() { # the database's certificate, for all names
    names="DNS:database,DNS:localhost,IP:127.0.0.1"
    for name in "$@"; do
        case $name in
        *[!0-9.]*) names="$names,DNS:$name" ;;
        *) names="$names,IP:$name" ;;
        esac
    done
    openssl req -new -newkey rsa:3072 -nodes -subj "/CN=database" \
        -keyout database_key.pem -out database.csr 2>/dev/null
    printf '%s\n' "subjectAltName=$names" "basicConstraints=critical,CA:FALSE" \
        "keyUsage=critical,digitalSignature,keyEncipherment" "extendedKeyUsage=serverAuth" \
        "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" >database.ext
    openssl x509 -req -in database.csr -CA database_ca.pem -CAkey database_ca_key.pem \
        -set_serial "0x$(openssl rand -hex 16)" -days 3650 -extfile database.ext \
        -out database_certificate.pem 2>/dev/null
    rm database.csr database.ext
}

if [ ! -e database_ca.pem ]; then
    openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=data-platform database authority" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout database_ca_key.pem -out database_ca.pem 2>/dev/null
fi
[ -e database_certificate.pem ] || certify "$@"
refuse_empty ./*
chmod 444 ./*
chmod 400 database_ca_key.pem # never mounted; it signs the next certificate
echo "Secrets are in $folder. Keep a copy of them where the backups of the database are not."
