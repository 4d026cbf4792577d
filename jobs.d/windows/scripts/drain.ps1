# Takes this server out of the load balancer and waits until its connections are gone.
# Exit codes as Patch Management reads them: 0 go on, 12 abort the job on this server.
$marker = 'C:\inetpub\health\drained.txt'
$deadline = (Get-Date).AddSeconds(150)

New-Item -ItemType File -Path $marker -Force | Out-Null
do {
    Start-Sleep -Seconds 5
    $open = @(Get-NetTCPConnection -LocalPort 443 -State Established -ErrorAction SilentlyContinue).Count
    Write-Output "open connections: $open"
} while ($open -gt 0 -and (Get-Date) -lt $deadline)

if ($open -gt 0) {
    Remove-Item -Path $marker -Force
    Write-Output 'connections did not end in time, this server is left for the next run'
    exit 12
}
exit 0
