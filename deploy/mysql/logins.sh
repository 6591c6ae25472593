#!/bin/sh
# Makes the logins of docker-compose.yml. The database's container runs it once, when its volume is empty; run again it
# makes those that a release added.
# What each may do `data-platform deploy` grants to its role afterwards.
set -eu
secrets=${SECRETS:-/run/secrets}
prefix=${PREFIX:-data_platform}

password() { # of a login, as SQL
    file=$secrets/database_$1_password
    if [ -z "$(cat "$file" 2>/dev/null)" ]; then
        echo "$file is missing or empty. Fill it as deploy/make-secrets.sh does, remove the volume, start again." >&2
        return 1
    fi
    tr -d '\n' <"$file" | sed "s/[\\\\']/\\\\&/g"
}

statements() {
    owner=$(password owner) || return 1
    printf "CREATE USER IF NOT EXISTS %s IDENTIFIED BY '%s' REQUIRE SSL;\n" "${prefix}_owner" "$owner"
    escaped=$(printf '%s' "$prefix" | sed 's/_/\\_/g')
    # shellcheck disable=SC2016 # those are MySQL's quotes
    printf 'GRANT ALL ON `%s\\_%%`.* TO %s WITH GRANT OPTION;\n' "$escaped" "${prefix}_owner"
    printf 'GRANT CREATE ROLE ON *.* TO %s;\n' "${prefix}_owner"
    for role in reader worker dashboard steward answers entries notices; do
        secret=$(password "$role") || return 1
        printf 'CREATE ROLE IF NOT EXISTS %s;\n' "${prefix}_$role"
        printf "CREATE USER IF NOT EXISTS %s IDENTIFIED BY '%s' REQUIRE SSL;\n" "$role" "$secret"
        printf 'GRANT %s TO %s;\n' "${prefix}_$role" "$role"
        printf 'SET DEFAULT ROLE %s TO %s;\n' "${prefix}_$role" "$role"
    done
}

all=$(statements) # all of it before any is executed: no password is missing
printf '%s\n' "$all" | MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --protocol=socket --user=root
