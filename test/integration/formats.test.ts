import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import library from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { readPlan } from '../../src/config/read-plan.ts'
import { type Config, ConfigError, connect, createServer } from '../../src/index.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

const KSY =
  'meta: { id: weight, endian: be }\nseq:\n  - { id: net_kg, type: u2 }\n  - { id: unit, type: str, size: 2, encoding: ASCII }\n'
const PROTO = 'syntax = "proto3"; message Reading { string device = 1; double temp = 2; }'

/** A server whose files lie in a folder that is removed with it. */
function endpoint(format: unknown, reply: unknown, more: object = {}): Config {
  const listen = { devices: { host: '127.0.0.1', port: 0, format, ...more, dataflow: [{ reply }] } }
  return { listen } as unknown as Config
}

describe('formats over real connections', () => {
  it.each<[string, unknown, string, string]>([
    ['csv', { csv: { columns: ['id', 'kg'], numbers: ['kg'] } }, '007,12.5\n', 'id,kg: 007 is 25.0\n'],
    ['key-value', { 'key-value': { numbers: true } }, 'id=x07; kg=12.5\n', 'id,kg: x07 is 25.0\n'],
    ['xml', { xml: { numbers: ['r.kg'] } }, '<r><id>007</id><kg>12.5</kg></r>\n', 'id,kg: 007 is 25.0\n'],
  ])('%s', async (name, format, frame, answer) => {
    const msg = name === 'xml' ? 'msg.r' : 'msg'
    await using running = await start(
      endpoint(format, `\${keys(${msg}).join(",")}: \${${msg}.id} is \${fixed(${msg}.kg * 2, 1)}`),
    )
    await using client = await Peer.connect(running.port())
    await client.send(frame).hear(answer)
  })

  it('protobuf, with a length in front as its libraries write it', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'reading.proto'), PROTO)
    const config = endpoint(
      { protobuf: 'reading.proto' },
      { value: '{"device": msg.device, "temp": msg.temp * 2}' },
      {
        framing: { 'length-prefix': { bytes: 1 } },
      },
    )
    await using running = await start(config, { baseDir: folder.path })
    await using client = await Peer.connect(running.port())
    const type = library.parse(PROTO).root.lookupType('Reading')
    const encoded = (reading: object) => Buffer.from(type.encodeDelimited(type.create(reading)).finish())
    client.socket.write(encoded({ device: 's1', temp: 20 }))
    await client.hear(encoded({ device: 's1', temp: 40 }).toString('latin1'))
  })

  it('kaitai, in a server and its client', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'weight.ksy'), KSY)
    const format = { in: { kaitai: 'weight.ksy' }, out: 'json' }
    const framing = { 'length-prefix': { bytes: 1 } }
    await using running = await start(endpoint(format, { value: 'msg' }, { framing }), { baseDir: folder.path })
    await using client = await connect({ host: '127.0.0.1', port: running.port(), framing, format: 'bytes' } as never)
    const answer = await client.request(Buffer.from('\x00\x19kg', 'latin1') as never)
    expect(JSON.parse(String(answer))).toEqual({ net_kg: 25, unit: 'kg' })
    await client.close()
    expect(await running.server.reload(endpoint(format, { value: 'msg.net_kg' }, { framing }))).toMatchObject({
      changed: ['devices'],
    })
  })

  it('says in a dead letter where a frame is wrong', async () => {
    await using running = await start(endpoint({ csv: ['id', 'kg'] }, 'ok'))
    await using client = await Peer.connect(running.port())
    await client.send('1\n1,2\n').hear('ok\n')
    const { error } = await running.event('frame.rejected')
    expect(error.message).toBe('the row has 1 field, and there are 2 columns: kg is missing at byte 1, near "1"')
  })
})

describe('a file that describes a format', () => {
  it('is checked with the configuration, and a mistake has its place', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    writeFileSync(join(folder.path, 'weight.ksy'), KSY.replace('type: u2', 'type: nope'))
    const yaml = (format: string) =>
      `listen:\n  devices:\n    port: 9100\n    format: ${format}\n    dataflow: [ stdout: {} ]\n`
    writeFileSync(file, yaml('{ kaitai: weight.ksy }'))
    const wrong = await readPlan(file, {})
    expect(wrong.plan).toBeUndefined()
    expect(wrong.report).toContain('sluice.yaml:4:')
    expect(wrong.report).toContain("unable to find type 'nope'")
    writeFileSync(file, yaml('{ protobuf: { file: none.proto } }'))
    expect((await readPlan(file, {})).report).toMatch(
      /sluice\.yaml:4:.*none\.proto cannot be used: there is no such file/,
    )
    writeFileSync(join(folder.path, 'weight.ksy'), KSY)
    writeFileSync(file, yaml('{ kaitai: weight.ksy }'))
    expect((await readPlan(file, {})).report).toBe('')
  })

  it('stops a server of the library from starting, with a mistake of the configuration', async () => {
    using folder = temporaryFolder()
    const server = createServer(endpoint({ kaitai: 'none.ksy' }, 'ok'), { baseDir: folder.path })
    await expect(server.start()).rejects.toThrow(ConfigError)
    await using running = await start(endpoint('text', 'ok'))
    await expect(running.server.reload(endpoint({ kaitai: 'none.ksy' }, 'ok'))).rejects.toThrow(
      'none.ksy cannot be used',
    )
    await using client = await Peer.connect(running.port())
    await client.send('a\n').hear('ok\n')
  })
})

it('a package that is not there is named, with the line that installs it', async () => {
  using folder = temporaryFolder()
  // What lies beside the configuration comes first: here, a package that cannot be used.
  const beside = join(folder.path, 'node_modules', 'kaitai-struct-compiler')
  mkdirSync(beside, { recursive: true })
  writeFileSync(join(beside, 'package.json'), '{ "name": "kaitai-struct-compiler", "main": "index.js" }')
  writeFileSync(join(beside, 'index.js'), 'throw new Error("this one was taken")')
  writeFileSync(join(folder.path, 'weight.ksy'), KSY)
  const server = createServer(endpoint({ kaitai: 'weight.ksy' }, 'ok'), { baseDir: folder.path })
  await expect(server.start()).rejects.toThrow('weight.ksy cannot be used: this one was taken')
})

it('a server that reads JSON loads nothing for other formats', () => {
  const program = `
    import { createRequire } from 'node:module'
    const { createServer } = await import('./src/index.ts')
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).filter((path) => /protobufjs|kaitai/.test(path))
    const server = (format) => createServer({ listen: { a: { port: 0, format, dataflow: [] } } })
    server('json')
    const before = loaded().length
    try { server({ protobuf: 'none.proto' }) } catch {}
    console.log(before, loaded().length > 0)
  `
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  })
  expect([stdout, stderr]).toEqual(['0 true\n', ''])
})
