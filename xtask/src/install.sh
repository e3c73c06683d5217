# install.sh PACKAGE... : installs Debian packages, as root, without leaving a
# server that runs or starts at boot on a machine that had none.
#
# A package manager must not be stopped half way: it has a session of its own, so that
# Ctrl-C and a closed terminal reach this script alone, which waits for it and then ends.
set -eu

policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/flashsale.conf
mark='# made by flashsale for the time of an installation'

# One at a time: then a file with our mark is one that a sudden end has left. The lock is
# on a folder that is there anyway, and goes with this script, not with what it starts.
exec 9<"${policy%/*}"
flock 9

made=
clean() { for file in $made; do rm -f "$file"; done; }
trap clean EXIT
interrupted=
trap 'interrupted=yes' HUP INT TERM

# make FILE MODE TEXT: nothing where the machine has such a file of its own.
make() {
    ! grep -qsxF "$mark" "$1" || rm -f "$1"
    [ ! -e "$1" ] || return 0
    mkdir -p "${1%/*}"
    made="$made $1"
    printf '%s\n' "$3" >"$1"
    chmod "$2" "$1"
}

apt() {
    [ -z "$interrupted" ] || exit 130
    # Another installation may be under way, such as the machine's own updates.
    setsid --wait apt-get -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        "$@" 9<&- </dev/null
}

# Debian's own switch against starting services during an installation.
make "$policy" 755 "#!/bin/sh
$mark
exit 101"
# Debian's own switch against a database cluster called `main`.
make "$cluster" 644 "$mark
create_main_cluster = false"

# Those whose services were not here before. They must not start at the next boot.
new_services=
for service in redis-server pgbouncer; do
    [ -e "/lib/systemd/system/$service.service" ] || new_services="$new_services $service"
done

export DEBIAN_FRONTEND=noninteractive
# One broken foreign source must not keep Debian's own from being used.
apt update -qq || echo "apt-get update failed in part; going on with what there is" >&2
apt install -y --no-install-recommends "$@"
[ -z "$interrupted" ] || exit 130

if command -v systemctl >/dev/null; then
    for service in $new_services; do
        systemctl disable "$service.service" >/dev/null 2>&1 || true
    done
fi
