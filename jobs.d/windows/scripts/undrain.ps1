# Puts this server back into the load balancer once its site answers.
# Exit codes as Patch Management reads them: 0 ok, 1 failed.
$marker = 'C:\inetpub\health\drained.txt'

foreach ($attempt in 1..12) {
    try {
        $answer = Invoke-WebRequest -Uri 'https://localhost/health' -UseBasicParsing -TimeoutSec 5
        if ($answer.StatusCode -eq 200) {
            Remove-Item -Path $marker -Force -ErrorAction SilentlyContinue
            exit 0
        }
    } catch {
        Write-Output "attempt ${attempt}: $($_.Exception.Message)"
    }
    Start-Sleep -Seconds 10
}
Write-Output 'the site does not answer, this server stays out of the load balancer'
exit 1
