#!/bin/sh
# Needs 2 GiB free in /var, where the package managers unpack.
# Exit codes as Patch Management reads them: 0 go on, 12 abort the job on this server.
needed_kib=2097152
free_kib=$(df -Pk /var | awk 'NR == 2 { print $4 }')

if [ "$free_kib" -lt "$needed_kib" ]; then
  echo "only $free_kib KiB free in /var, $needed_kib KiB needed"
  exit 12
fi
