/** What the options of a socket are in the kernel, as its tools show them. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Socket } from '../contracts/transport.ts'
import { createTcp } from './tcp.ts'

const tcp = createTcp()
const works = (program: string, ...args: string[]) => spawnSync(program, args).status === 0
const hasSs = works('ss', '-ltn')
const hasStrace = works('strace', '-o', '/dev/null', 'true')

describe.skipIf(!hasSs)(`options in the kernel${hasSs ? '' : ' (skipped: there is no ss)'}`, () => {
  it('the length of the queue is that of backlog', async () => {
    const listener = await tcp.listen({ host: '127.0.0.1', port: 0, backlog: 7 }, () => {})
    const { port } = listener.address
    // The column Send-Q of a socket that listens is the length of its queue.
    expect(ss('-ltn', `sport = :${port}`)).toMatch(new RegExp(`^LISTEN +0 +7 +127\\.0\\.0\\.1:${port} `, 'm'))
    await listener.close()
  })

  it('keepalive runs at accepted and at dialled connections, unless it is off', async () => {
    for (const [keepAlive, timer] of [
      [90_000, /timer:\(keepalive,1min(29|30)sec,0\)/],
      [0, /^(?!.*keepalive)/s],
    ] as const) {
      const accepted = Promise.withResolvers<Socket>()
      const listener = await tcp.listen({ host: '127.0.0.1', port: 0, socket: { keepAlive } }, accepted.resolve)
      const { port } = listener.address
      const dialled = await tcp.dial({ host: '127.0.0.1', port, timeout: 2000, socket: { keepAlive } })
      const other = await accepted.promise
      expect(ss('-tno', `sport = :${port}`)).toMatch(timer)
      expect(ss('-tno', `dport = :${port}`)).toMatch(timer)
      for (const socket of [dialled, other]) socket.destroy()
      await listener.close()
    }
  })
})

describe.skipIf(!hasStrace)(`calls to the kernel${hasStrace ? '' : ' (skipped: there is no strace)'}`, () => {
  it.each([true, false])('noDelay: %s is set once at each end, or never', (noDelay) => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-options-'))
    const script = join(folder, 'program.mjs')
    writeFileSync(
      script,
      `import { createTcp } from ${JSON.stringify(new URL('./tcp.ts', import.meta.url).href)}
       const tcp = createTcp()
       const socket = { noDelay: ${noDelay} }
       const echo = (socket) => socket.start({
         onData: (bytes) => socket.write(bytes), onEnd: () => socket.end(), onDrain() {}, onClose() {},
       })
       const listener = await tcp.listen({ host: '127.0.0.1', port: 0, socket }, echo)
       const dialled = await tcp.dial({ host: '127.0.0.1', port: listener.address.port, timeout: 5000, socket })
       dialled.start({ onData: () => dialled.end(), onEnd() {}, onDrain() {}, onClose: () => listener.close() })
       dialled.write('x')`,
    )
    const calls = join(folder, 'calls')
    const args = ['-f', '-e', 'trace=setsockopt', '-o', calls, process.execPath, script]
    expect(spawnSync('strace', args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
    expect(readFileSync(calls, 'utf8').match(/TCP_NODELAY, \[1\]/g) ?? []).toHaveLength(noDelay ? 2 : 0)
    rmSync(folder, { recursive: true })
  })
})

function ss(...args: string[]): string {
  return spawnSync('ss', args, { encoding: 'utf8' }).stdout
}
