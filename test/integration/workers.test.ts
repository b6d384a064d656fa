import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { Cluster } from '../support/cluster.ts'
import { freePort } from '../support/free-port.ts'
import { eventually } from '../support/parts.ts'

/** A machine that runs other tests starts processes slowly. */
const TIMEOUT = 60_000

const shell = (steps: string) => `listen: { shell: { host: 127.0.0.1, port: 0, dataflow: [ ${steps} ] } }\n`

describe('a supervisor', { timeout: TIMEOUT }, () => {
  it('goes through its states, and can be stopped before it was started', async () => {
    await using cluster = new Cluster()
    await cluster.start(shell('reply: "${client.id}"'))
    const { supervisor } = cluster
    expect([supervisor.state, supervisor.workers]).toEqual(['running', 2])
    expect(supervisor.endpoints).toMatchObject([{ name: 'shell', kind: 'listen', connections: 0 }])
    await using peer = await cluster.connect()
    expect(await peer.send('x\n').hear('\n')).toMatch(/^shell-[12]\.1\n$/)
    const stopped = supervisor.stop()
    expect(supervisor.state).toBe('draining')
    await expect(supervisor.reload(() => undefined)).rejects.toThrow('this one is draining')
    await stopped
    await peer.end()
    expect([supervisor.state, supervisor.workers]).toEqual(['stopped', 0])
    await expect(supervisor.retryDeadLetters([1])).rejects.toThrow('this one is stopped')
    expect(cluster.all('worker.exited')).toEqual([])
  })

  it('starts again what dies, at once and then after a wait, and adds up what they have counted', async () => {
    await using cluster = new Cluster()
    await cluster.start(`admin: 0\n${shell('reply: "${client.id}"')}`)
    const { supervisor } = cluster
    const own = createMetrics(supervisor, supervisor.events)
    const metrics = supervisor.metrics(own)
    for (let life = 1; life <= 3; life++) {
      const peers = [await cluster.connect(), await cluster.connect()]
      const ids = await Promise.all(peers.map((peer) => peer.send('x\n').hear('\n')))
      expect(ids.some((id) => id.startsWith(life === 1 ? 'shell-1.' : `shell-1r${life - 1}.`))).toBe(true)
      expect(await metrics.text()).toContain(`sluice_messages_received_total{endpoint="shell"} ${2 * life}\n`)
      for (const peer of peers) await peer.finish().end()
      process.kill(cluster.all('worker.started').findLast(({ worker }) => worker === 1)!.pid, 'SIGKILL')
      await eventually(() => cluster.all('worker.started').length === 2 + life)
      expect(await metrics.text()).toContain(`sluice_messages_received_total{endpoint="shell"} ${2 * life}\n`)
    }
    const [first, second, third] = cluster.all('worker.exited').map(({ restartIn }) => restartIn)
    expect(first).toBe(0)
    expect(Math.min(second!, third!)).toBeGreaterThan(0)
    const values = await metrics.values()
    expect(values.find(({ name }) => name === 'sluice_workers')?.values).toMatchObject([{ value: 2 }])
    metrics.close()
  })

  it('starts a worker with the settings in force, whatever needs a restart in the file', async () => {
    await using cluster = new Cluster()
    const port = await freePort()
    const config = shell('reply: "${client.id} ${msg}"').replace('port: 0', `port: ${port}`)
    await cluster.start(config)
    cluster.write(`balance: reusePort\ndata: { dir: elsewhere }\n${config}`)
    const report = await cluster.supervisor.reload(() => undefined)
    expect(report.restart).toEqual(['data', 'balance'])
    process.kill(cluster.all('worker.started')[0]!.pid, 'SIGKILL')
    await eventually(() => cluster.all('worker.started').length === 3)
    expect(cluster.all('worker.exited').map(({ reason }) => reason)).toEqual(['killed by SIGKILL'])
    const peers = [await cluster.connect(), await cluster.connect()]
    const ids = await Promise.all(peers.map((peer) => peer.send('x\n').hear('\n')))
    expect(ids.some((id) => id.startsWith('shell-1r1.'))).toBe(true)
    for (const peer of peers) await peer.finish().end()
  })

  it('starts again, with the new configuration, a worker that cannot reload when the first could', async () => {
    await using cluster = new Cluster()
    const marker = join(cluster.folder.path, 'marker')
    // It can be loaded twice: by the first worker at the reload, and later by what is started in the place of the second.
    writeFileSync(
      join(cluster.folder.path, 'twice.mjs'),
      `import { existsSync, writeFileSync } from 'node:fs'
const [one, two] = ['${marker}1', '${marker}2']
if (!existsSync(one)) writeFileSync(one, '')
else if (!existsSync(two)) { writeFileSync(two, ''); throw new Error('not this time') }
export default (msg) => 'new ' + msg`,
    )
    await cluster.start(shell('reply: "old ${msg}"'))
    cluster.write(shell('script: ./twice.mjs, reply: "${msg}"'))
    const report = await cluster.supervisor.reload(() => undefined)
    expect(report.changed).toEqual(['shell'])
    await eventually(() => cluster.all('worker.started').length === 3)
    expect(cluster.all('worker.exited')).toMatchObject([
      { worker: 2, reason: expect.stringMatching(/^it could not reload: .*not this time/s) },
    ])
    const peers = [await cluster.connect(), await cluster.connect()]
    for (const peer of peers) expect(await peer.send('x\n').hear('\n')).toBe('new x\n')
    for (const peer of peers) await peer.finish().end()
  })

  it('changes nothing when the first worker cannot reload', async () => {
    await using cluster = new Cluster()
    await cluster.start(shell('reply: "old ${msg}"'))
    cluster.write(shell('file: /proc/nothing/x, reply: "new ${msg}"'))
    await expect(cluster.supervisor.reload(() => undefined)).rejects.toThrow('/proc/nothing')
    expect(cluster.all('server.reloadFailed')).toHaveLength(1)
    const peers = [await cluster.connect(), await cluster.connect()]
    for (const peer of peers) expect(await peer.send('x\n').hear('\n')).toBe('old x\n')
    for (const peer of peers) await peer.finish().end()
  })

  it('closes everything again when the second worker cannot start', async () => {
    await using cluster = new Cluster()
    const marker = join(cluster.folder.path, 'marker')
    writeFileSync(
      join(cluster.folder.path, 'once.mjs'),
      `import { existsSync, writeFileSync } from 'node:fs'
if (existsSync('${marker}')) throw new Error('only once')
writeFileSync('${marker}', '')
export default (msg) => msg`,
    )
    await expect(cluster.start(shell('script: ./once.mjs'))).rejects.toThrow('only once')
    expect(existsSync(marker)).toBe(true)
    expect([cluster.supervisor.state, cluster.supervisor.workers]).toEqual(['stopped', 0])
    expect(cluster.all('listener.closed')).toHaveLength(1)
    expect(cluster.supervisor.address('shell')).toBeUndefined()
  })

  it('says of a dead letter that cannot be retried what the worker says that has its endpoint', async () => {
    const device = createServer((socket) => socket.end('half a line'))
    await once(device.listen(0, '127.0.0.1'), 'listening')
    const { port } = device.address() as AddressInfo
    await using cluster = new Cluster()
    const never = 'reconnect: { first: 1h, max: 1h }'
    await cluster.start(`connect: { scale: { host: 127.0.0.1, port: ${port}, ${never}, dataflow: [ log: x ] } }\n`)
    const file = join(cluster.folder.path, 'sluice-data', 'dead-letters.db')
    await expect.poll(() => readDeadLetters(file).length, { timeout: TIMEOUT }).toBe(1)
    device.close()
    const reason = 'it is no whole frame (frame_truncated)'
    expect(await cluster.supervisor.retryDeadLetters([1, 2])).toEqual({
      done: [],
      kept: [
        { id: 1, reason, tried: false },
        { id: 2, reason: 'there is no such dead letter', tried: false },
      ],
      repliesSkipped: 0,
    })
    cluster.write(shell('reply: x'))
    await cluster.supervisor.reload(() => undefined)
    const { kept } = await cluster.supervisor.retryDeadLetters([1])
    expect(kept).toMatchObject([{ id: 1, reason: 'there is no endpoint scale in the configuration any more' }])
  })
})
