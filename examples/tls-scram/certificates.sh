#!/bin/sh
# An authority of our own, and certificates for Howdah and for the nodes, all for the name localhost.
set -eu
mkdir -p certs
cd certs
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=example authority" -keyout ca.key -out ca.crt
for who in howdah node; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout $who.key -out $who.csr
    printf 'subjectAltName = DNS:localhost, IP:127.0.0.1\n' > $who.ext
    openssl x509 -req -days 365 -in $who.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile $who.ext -out $who.crt
    rm $who.csr $who.ext
done
chmod 600 ./*.key
