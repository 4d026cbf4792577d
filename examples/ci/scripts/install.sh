#!/bin/sh
# Fetches patchctl and puts it into a folder: install.sh FOLDER
#
# PATCHCTL_URL     address of the released program for this machine, or of a .tar.gz that holds it; https
# PATCHCTL_SHA256  digest of what is fetched, 64 hexadecimal digits. It is pinned here, beside the workflow: a digest
#                  fetched from where the program is fetched from would prove nothing.
set -eu

folder=$1
: "${PATCHCTL_URL:?set it to the address of the released program}"
: "${PATCHCTL_SHA256:?set it to the SHA-256 of the released program}"

mkdir -p "$folder"
fetched=$folder/patchctl.fetched
curl --fail --silent --show-error --location --proto '=https' --retry 3 --output "$fetched" "$PATCHCTL_URL"
if ! printf '%s  %s\n' "$PATCHCTL_SHA256" "$fetched" | sha256sum -c - >/dev/null 2>&1; then
  rm -f "$fetched"
  echo "error: what $PATCHCTL_URL answered has not the digest $PATCHCTL_SHA256; it was removed and not run" >&2
  exit 1
fi
case $PATCHCTL_URL in
  *.tar.gz | *.tgz)
    tar -xzf "$fetched" -C "$folder"
    rm -f "$fetched"
    ;;
  *) mv "$fetched" "$folder/patchctl" ;;
esac
chmod +x "$folder/patchctl"
# On GitHub this puts the folder on the path of the steps after this one.
if [ -n "${GITHUB_PATH:-}" ]; then
  printf '%s\n' "$folder" >>"$GITHUB_PATH"
fi
"$folder/patchctl" --version
