#!/bin/sh
# Asks for the restart only where a package wants one.
# Exit codes as Patch Management reads them: 0 ok, 10 ok and restart.
if [ -f /var/run/reboot-required ]; then
  exit 10
fi
if command -v needs-restarting >/dev/null 2>&1 && ! needs-restarting -r >/dev/null 2>&1; then
  exit 10
fi
exit 0
