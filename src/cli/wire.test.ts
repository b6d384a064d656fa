import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenConnection, type OpenOptions, openConnection } from '../library/open-connection.ts'
import { type Arrived, createWire, problemOf, typedBytes, type WireOptions } from './wire.ts'

const server = createServer()
beforeAll(() => once(server.listen(0, '127.0.0.1'), 'listening'))
afterAll(() => server.close())

async function open(options: Omit<WireOptions, 'eol'>): Promise<OpenConnection> {
  const { port } = server.address() as { port: number }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return openConnection({ host: '127.0.0.1', port, ...given } as OpenOptions)
}

/** What is made of reads, and of a line that is typed. */
async function exchange(options: Omit<WireOptions, 'eol'>, reads: readonly string[], line = '') {
  const opened = await open(options)
  const arrived: Arrived[] = []
  const wire = createWire(opened, { ...options, eol: '\r' }, (one) => arrived.push(one))
  for (const read of reads) wire.read(Buffer.from(read, 'latin1'))
  wire.end()
  opened.socket.destroy()
  const told = arrived.map(({ shown, problem }) => (problem === undefined ? shown : `${shown} ! ${problem}`))
  return { told, sent: wire.write(line).toString('latin1') }
}

const PLAIN = { framing: undefined, format: undefined }

describe('a wire', () => {
  it('shows the lines of each read, and ends what is typed as was asked', async () => {
    expect(await exchange(PLAIN, ['a\nb\r\n', 'login: '], 'x\\x02é')).toEqual({
      told: ['a\\n', 'b\\r\\n', 'login: '],
      sent: 'x\x02\xc3\xa9\r',
    })
  })

  it('shows frames, however they arrive, and what is left at the end', async () => {
    const { told, sent } = await exchange({ framing: 'stx-etx', format: undefined }, ['\x02a', 'b\x03\x02', 'c'], 'd')
    expect(told.slice(0, 1)).toEqual(['ab'])
    expect(told[1]).toMatch(/^\\x02c ! /)
    expect(sent).toBe('\x02d\x03')
  })

  it('shows values, and what is none with the reason', async () => {
    const { told, sent } = await exchange({ framing: undefined, format: 'json' }, ['{"a":1}\nno\n'], ' [1, 2] ')
    expect(told[0]).toBe('{"a":1}')
    expect(told[1]).toMatch(/^no ! .*JSON/)
    expect(sent).toBe('[1,2]\n')
  })

  it('writes texts in their encoding', async () => {
    const { told, sent } = await exchange({ framing: undefined, format: { text: 'latin1' } }, ['\xb0\n'], '20 °C')
    expect({ told, sent }).toEqual({ told: ['°'], sent: '20 \xb0C\n' })
  })

  it.each<[Omit<WireOptions, 'eol'>, string, RegExp]>([
    [PLAIN, '\\q', /^\\q is no escape/],
    [{ framing: undefined, format: 'json' }, '{', /^this is no JSON: /],
    [{ framing: 'stx-etx', format: undefined }, 'a\\x03', /end marker/],
  ])('says in a sentence why a line cannot be sent: %j %s', async (options, line, problem) => {
    const opened = await open(options)
    const wire = createWire(opened, { ...options, eol: '' }, () => undefined)
    opened.socket.destroy()
    let said = ''
    try {
      wire.write(line)
    } catch (thrown) {
      said = problemOf(thrown)
    }
    expect(said).toMatch(problem)
  })
})

it('what is typed is UTF-8, whatever its characters are', () => {
  for (const text of ['é', '°', '日本', '😀', '\t']) expect(typedBytes(text)).toEqual(Buffer.from(text))
  expect(typedBytes('\\xe9')).toEqual(Buffer.from([0xe9]))
})
