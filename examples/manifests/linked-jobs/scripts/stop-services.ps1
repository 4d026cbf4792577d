# Exit codes as Patch Management reads them: 0 ok, 1 failed. Only servers with 0 count for the chain.
Stop-Service -Name AcmeApp, AcmeQueue -ErrorAction SilentlyContinue
$running = @(Get-Service -Name AcmeApp, AcmeQueue | Where-Object Status -ne 'Stopped')
if ($running.Count -gt 0) { exit 1 }
exit 0
