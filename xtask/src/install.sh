# install.sh PACKAGE... : installs Debian packages, as root, without leaving a
# server that runs or starts at boot on a machine that had none.
set -eu

policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/flashsale.conf
made=
clean() { for file in $made; do rm -f "$file"; done; }
trap clean EXIT
trap 'exit 130' INT TERM

# Debian's own switch against starting services during an installation.
if [ ! -e "$policy" ]; then
    made="$made $policy"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
# Debian's own switch against a database cluster called `main`.
if [ ! -e "$cluster" ]; then
    mkdir -p "${cluster%/*}"
    made="$made $cluster"
    printf 'create_main_cluster = false\n' >"$cluster"
fi

had_redis=no
[ -e /lib/systemd/system/redis-server.service ] && had_redis=yes

export DEBIAN_FRONTEND=noninteractive
# One broken foreign source must not keep Debian's own from being used.
apt-get update -qq || echo "apt-get update failed in part; going on with what there is" >&2
apt-get install -y --no-install-recommends "$@"

if [ "$had_redis" = no ] && command -v systemctl >/dev/null; then
    systemctl disable redis-server.service >/dev/null 2>&1 || true
fi
