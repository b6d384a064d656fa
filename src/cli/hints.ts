import type { Plan } from '../config/plan.ts'
import type { PlannedServer } from '../config/planned-server.ts'
import { type Address, formatAddress } from '../contracts/client.ts'

/**
 * How to talk to each endpoint with the usual test clients, with the exact settings.
 * @param server started, so that the real ports are known
 * @param admin where health and metrics are served, if they are
 */
export function hintsFor(plan: Plan, server: Pick<PlannedServer, 'address'>, admin: Address | undefined): string[] {
  const lines: string[] = []
  for (const endpoint of plan.endpoints) {
    if (endpoint.kind !== 'listen') continue
    const { name, tls, proxyProtocol } = endpoint
    const address = server.address(name)
    if (address === undefined || address.port === 0) continue
    const host = ['::', '0.0.0.0'].includes(address.ip) ? '127.0.0.1' : address.ip
    const { port } = address
    const where = `"${name}" listens on port ${port}${tls === undefined ? '' : ' (TLS)'}`
    if (proxyProtocol !== undefined) {
      lines.push('', `${where} for a load balancer that sends PROXY headers.`)
      if (tls === undefined) lines.push(`  netcat         (printf 'PROXY UNKNOWN\\r\\n'; cat) | nc ${host} ${port}`)
      continue
    }
    lines.push('', `${where}. Try it:`)
    if (tls !== undefined) {
      lines.push(`  openssl        openssl s_client -quiet -connect ${host}:${port}`)
      continue
    }
    lines.push(
      `  netcat         nc ${host} ${port}`,
      `  telnet         telnet ${host} ${port}`,
      `  PuTTY          Host Name: ${host}   Port: ${port}   Connection type: Raw   (or: plink -raw -P ${port} ${host})`,
      `  Packet Sender  Address: ${host}   Port: ${port}   TCP   ASCII: hello\\n   (or: packetsender -a -w 1000 ${host} ${port} "hello\\n")`,
    )
  }
  if (admin !== undefined) {
    const url = `http://${formatAddress(admin)}`
    lines.push('', `Health: ${url}/health/ready   Metrics: ${url}/metrics`)
  }
  return lines.length === 0 ? lines : [...lines, '', 'Ctrl-C stops the server.', '']
}
