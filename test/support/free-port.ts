import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/**
 * A free port for a program that must come back at the same one. It is none of those that the system gives to outgoing
 * connections: such a port could be taken while the program is down.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(LOWEST, firstEphemeral())
  const server = createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return freePort()
  }
  server.close()
  await once(server, 'close')
  return port
}

const LOWEST = 10_000

function firstEphemeral(): number {
  return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10)
}
