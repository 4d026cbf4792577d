# A domain controller is patched only while the directory replicates without errors.
# Exit codes as Patch Management reads them: 0 go on, 12 abort the job on this server.
$failures = @(Get-ADReplicationFailure -Target $env:COMPUTERNAME -ErrorAction Stop |
    Where-Object { $_.FailureCount -gt 0 })

if ($failures.Count -gt 0) {
    $failures | Format-Table Partner, FailureCount, LastError | Out-String | Write-Output
    exit 12
}
exit 0
