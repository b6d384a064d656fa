import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually, stuck } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-reply-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** Makes a file of random bytes. @returns their SHA-256 */
async function makeFile(path: string, megabytes: number): Promise<string> {
  const hash = createHash('sha256')
  const file = await open(path, 'w')
  for (let i = 0; i < megabytes; i++) {
    const block = randomBytes(1_000_000)
    hash.update(block)
    await file.write(block)
  }
  await file.close()
  return hash.digest('hex')
}

/** A server in a process of its own, so that its memory can be told from that of the test. */
const JOB_SERVER = `
  import { setFlagsFromString } from 'node:v8'
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  const { createServer } = await import(${JSON.stringify(import.meta.resolve('../../src/index.ts'))})
  const path = process.argv[1] + '/\${client.id}.job'
  const server = createServer({
    listen: {
      jobs: {
        port: 0,
        host: '127.0.0.1',
        framing: { 'until-close': { streamAbove: '256KiB' } },
        format: 'bytes',
        dataflow: [{ file: { path, framing: 'raw' } }, { reply: { file: path }, if: '!more' }],
      },
    },
  })
  await server.start()
  console.log(server.addresses('jobs')[0].port)
`

describe('a file as the answer', () => {
  it('100 MB each way: equal checksums, and memory stays flat', async () => {
    const sum = await makeFile(join(folder, 'given'), 100)
    const server = spawn(process.execPath, ['--input-type=module', '-e', JOB_SERVER, folder])
    const [line] = (await once(server.stdout, 'data')) as [Buffer]
    const highest = async () =>
      Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${server.pid}/status`, 'utf8'))?.[1])
    const before = await highest()
    const socket = connect({ port: Number(line.toString()), host: '127.0.0.1', allowHalfOpen: true })
    const hash = createHash('sha256')
    socket.on('data', (chunk: Buffer) => hash.update(chunk))
    const ended = once(socket, 'end')
    await pipeline(createReadStream(join(folder, 'given')), socket, { end: true })
    await ended
    const grown = (await highest()) - before
    server.kill()
    await once(server, 'exit')
    expect(hash.digest('hex')).toBe(sum)
    // Twice 100 MB have gone through; what grows is the heap with its garbage.
    expect(grown).toBeLessThan(150_000)
  })

  it('waits for a client that does not read, and goes on when it does', async () => {
    const sum = await makeFile(join(folder, 'large'), 40)
    await using running = await start({
      listen: { files: { port: 0, dataflow: [{ reply: { file: `${folder}/\${msg}` } }] } },
    })
    await using peer = await Peer.connect(running.port())
    peer.socket.pause()
    peer.send('large\n').finish()
    const { counters } = running.server.endpoints[0]!
    await stuck(() => counters.bytesOut)
    expect(counters.bytesOut).toBeLessThan(20_000_000)
    const hash = createHash('sha256')
    peer.socket.removeAllListeners('data').on('data', (chunk: Buffer) => hash.update(chunk))
    peer.socket.resume()
    await once(peer.socket, 'end')
    expect(hash.digest('hex')).toBe(sum)
  })

  it('stands in its slot: the answers before and behind it keep their order', async () => {
    await writeFile(join(folder, 'a'), 'A'.repeat(600_000))
    await writeFile(join(folder, 'empty'), '')
    await using running = await start({
      listen: {
        files: {
          port: 0,
          dataflow: [{ reply: { file: `${folder}/\${msg}` }, if: 'msg != "no"' }, { reply: 'behind ${msg}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    const text = await peer.send('no\na\nempty\na\nno\n').finish().end()
    const whole = `${'A'.repeat(600_000)}behind a\n`
    expect(text).toBe(`behind no\n${whole}behind empty\n${whole}behind no\n`)
  })

  it('that cannot be given is an error for the message, and nothing of it is sent', async () => {
    await writeFile(join(folder, 'secret'), 'not for you')
    await mkdir(join(folder, 'public', 'folder'), { recursive: true })
    await using running = await start({
      listen: {
        files: {
          port: 0,
          dataflow: [
            { reply: { file: `${folder}/public/\${msg}` }, onError: [{ reply: '${error.code}: ${error.message}' }] },
          ],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    const text = await peer.send('missing\n../secret\n..\nfolder\n').finish().end()
    expect(text.split('\n')).toEqual([
      `step_failed: there is no file ${folder}/public/missing`,
      'expression_failed: msg has "/" in it and cannot be part of a path',
      'expression_failed: ".." cannot be the name of a file or a folder',
      `step_failed: ${folder}/public/folder is no file`,
      '',
    ])
  })

  it('that becomes shorter while it is sent ends the connection', async () => {
    await makeFile(join(folder, 'large'), 40)
    await using running = await start({
      listen: { files: { port: 0, dataflow: [{ reply: { file: `${folder}/large` } }] } },
    })
    await using peer = await Peer.connect(running.port())
    peer.socket.pause()
    peer.send('x\ny\n')
    await eventually(() => running.server.endpoints[0]!.counters.bytesOut > 0)
    await truncate(join(folder, 'large'), 1000)
    peer.socket.resume()
    await peer.end()
    expect(peer.received.length).toBeLessThan(40_000_000)
  })

  it('a timeout breaks it off: no more is read, and what the client has does not look whole', async () => {
    await makeFile(join(folder, 'large'), 40)
    const reply = { reply: { file: `${folder}/large` }, timeout: '300ms', onError: [{ reply: 'late' }] }
    await using running = await start({ listen: { files: { port: 0, dataflow: [reply, { reply: 'done' }] } } })
    await using peer = await Peer.connect(running.port())
    peer.socket.pause()
    peer.send('x\nnext\n')
    const { reason, detail } = await running.event('connection.closed')
    expect({ reason, detail }).toEqual({ reason: 'closed_by_step', detail: 'an answer could not be finished' })
    const { counters } = running.server.endpoints[0]!
    expect(counters.bytesOut).toBeLessThan(40_000_000)
    peer.socket.resume()
    await peer.end()
    expect(peer.ended).toBe(false)
    expect(peer.received.length).toBeLessThanOrEqual(counters.bytesOut)
    expect(peer.text).not.toContain('late')
    // The answers of `onError`, of the step behind it and to the next line.
    expect(counters.repliesLost).toBeLessThanOrEqual(3)
  })

  it('a client that goes away ends it', async () => {
    await makeFile(join(folder, 'large'), 40)
    await using running = await start({
      listen: { files: { port: 0, dataflow: [{ reply: { file: `${folder}/large` } }] } },
    })
    const peer = await Peer.connect(running.port())
    peer.socket.pause()
    peer.send('x\n')
    const { counters } = running.server.endpoints[0]!
    await eventually(() => counters.bytesOut > 0)
    peer.socket.resetAndDestroy()
    await eventually(() => running.server.endpoints[0]!.connections === 0)
    expect(counters.bytesOut).toBeLessThan(40_000_000)
  })

  it('in the onError of the endpoint too', async () => {
    await writeFile(join(folder, 'help'), 'H'.repeat(600_000))
    await using running = await start({
      listen: {
        files: {
          port: 0,
          format: 'json',
          dataflow: [{ reply: 'OK' }],
          onError: [{ reply: { file: `${folder}/help` } }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    const help = 'H'.repeat(600_000)
    expect(await peer.send('1\n{\n2\n}\n').finish().end()).toBe(`OK\n${help}OK\n${help}`)
  })

  it('is refused where answers are kept before they are sent', async () => {
    await writeFile(join(folder, 'a'), 'A')
    await using running = await start({
      data: { dir: join(folder, 'data') },
      listen: {
        files: {
          port: 0,
          key: 'msg',
          dataflow: [
            { dedupe: { window: '1h' }, id: 'once' },
            { reply: { file: `${folder}/a` }, onError: [{ reply: '${error.message}' }] },
          ],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('x\n').finish().end()).toBe('a file cannot be the answer here\n')
  })
})
