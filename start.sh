#!/bin/sh
# Runs restream in this console until Ctrl+C. Installs and builds restream first if necessary.
# Arguments are passed to "restream run"; "./start.sh --help" lists them.
set -eu

# 1. The address of the database, if the environment does not set PG_DSN. With a password in it,
#    keep other users from reading this file: chmod 700 start.sh
#    In a user name or password, percent-encode the characters / # ? % @
[ -n "${PG_DSN-}" ] || PG_DSN=''
#    such as PG_DSN='postgres://user:password@127.0.0.1:5432/database'

# 2. The media server, if the environment does not set it.
[ -n "${MEDIA_SERVER_HOST-}" ] || MEDIA_SERVER_HOST='127.0.0.1'
[ -n "${MEDIA_SERVER_PORT-}" ] || MEDIA_SERVER_PORT='8554'

# All other settings are in restream.yaml, see restream.example.yaml.
export PG_DSN MEDIA_SERVER_HOST MEDIA_SERVER_PORT

# cron and service managers often set a short PATH
PATH=${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin
export PATH

case $0 in
*/*) cd "${0%/*}" ;;
esac

need_npm() {
  command -v npm >/dev/null && return
  echo "start.sh: npm is missing; install Node.js 22.19 or later with npm (https://nodejs.org)" >&2
  exit 2
}

if [ ! -x node_modules/.bin/node ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  need_npm
  echo "start.sh: installing packages" >&2
  # the npm of Node 18 omits packages that Node 18 can't run, although they run by the Node that is installed here
  case $(node --version) in
  v1?.*) npx --yes --package node@24 npm ci --no-audit --no-fund --loglevel error >&2 ;;
  *) npm ci --no-audit --no-fund --loglevel error >&2 ;;
  esac
  touch node_modules/.package-lock.json
fi

built=packages/cli/dist/restream.js
if [ ! -e "$built" ] || [ -n "$(find packages/*/src package-lock.json -newer "$built" -print)" ]; then
  need_npm
  echo "start.sh: building restream" >&2
  npm run --silent build >&2
fi

# exec, so that signals reach the daemon
exec node_modules/.bin/node packages/cli/bin/restream.js run "$@"
