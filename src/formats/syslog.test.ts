import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { syslog } from './syslog.ts'
import type { SyslogMessage } from './syslog-message.ts'

const format = syslog.create(syslog.options.parse({}))

function parse(content: string | Buffer, from = format): SyslogMessage {
  const bytes = Buffer.from(content as string)
  return from.parse(bytes, 0, bytes.length)
}

const print = (value: unknown) => format.print(value as SyslogMessage)

describe('RFC 5424', () => {
  test('the examples of the RFC, section 6.5', () => {
    expect(
      parse(
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8",
      ),
    ).toEqual({
      rfc: 5424,
      facility: 4,
      facilityName: 'auth',
      severity: 2,
      severityName: 'crit',
      timestamp: '2003-10-11T22:14:15.003Z',
      localTime: null,
      host: 'mymachine.example.com',
      app: 'su',
      pid: null,
      msgId: 'ID47',
      data: {},
      message: "'su root' failed for lonvick on /dev/pts/8",
    })
    expect(parse("<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time")).toMatchObject({
      timestamp: '2003-08-24T05:14:15.000003-07:00',
      pid: '8710',
      message: "%% It's time",
    })
    expect(
      parse(
        '<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]',
      ),
    ).toMatchObject({
      data: {
        'exampleSDID@32473': { iut: '3', eventSource: 'Application', eventID: '1011' },
        'examplePriority@32473': { class: 'high' },
      },
      message: '',
    })
  })

  test('structured data has escapes, and names that stand there several times', () => {
    const sent = '<0>1 - - - - - [a p="1 \\" \\\\ \\] \\n é" p="2"][b]'
    expect(parse(sent).data).toEqual({ a: { p: ['1 " \\ ] \\n é', '2'] }, b: {} })
    expect(print(parse(sent))).toBe('<0>1 - - - - - [a p="1 \\" \\\\ \\] \\\\n é" p="2"][b]')
  })

  test.each([
    ['<34>1 - h a p m', 'the message ends behind MSGID at byte 15'],
    ['<34>1 - h é p m -', 'the field APP-NAME is missing or no visible ASCII at byte 10'],
    ['<34>1 2026-02-30T99:00:00Z h a p m -', 'TIMESTAMP is no time at byte 6'],
    ['<34>1 - h a p m [é', 'an SD-ID is missing at byte 17'],
    ['<34>1 - h a p m [a b=c]', 'a parameter such as name="value" is missing at byte 18'],
    ['<34>1 - h a p m [a b="é" ', 'a parameter such as name="value" is missing at byte 25'],
    ['<34>1 - h a p m [a b="é"', '] at the end of an element is missing at byte 25'],
    ['<34>1 - h a p m [a][a]', 'the SD-ID a is refused'],
    ['<34>1 - h a p m [__proto__ x="1"]', 'the SD-ID __proto__ is refused'],
    ['<34>1 - h a p m [a __proto__="1"]', 'a parameter has the name __proto__'],
    ['<999>1 - - - - - -', 'begins with a priority from <0> to <191>'],
  ])('%s is refused: %s', (content, message) => {
    expect(() => parse(content)).toThrow(
      expect.objectContaining({ code: 'format_invalid', message: expect.stringContaining(message) }),
    )
  })

  test('whatever is written is read again', () => {
    const word = fc.option(fc.stringMatching(/^[!-~]{1,20}$/).filter((text) => text !== '-'))
    const name = fc.stringMatching(/^[!#-<>-[^-~]{1,12}$/).filter((text) => text !== '__proto__')
    const params = fc.dictionary(
      name,
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.array(fc.string(), { minLength: 2 })),
      { noNullPrototype: true },
    )
    const message = fc.record({
      facility: fc.nat(23),
      severity: fc.nat(7),
      timestamp: fc.option(
        fc
          .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
          .map((date) => date.toISOString()),
      ),
      host: word,
      app: word,
      pid: word,
      msgId: word,
      data: fc.dictionary(name, params, { noNullPrototype: true }),
      message: fc.string({ unit: 'grapheme' }),
    })
    fc.assert(
      fc.property(message, (given) => {
        expect(parse(print(given) as string)).toMatchObject(given)
      }),
    )
  })
})

describe('RFC 3164', () => {
  test.each<[string, Partial<SyslogMessage>]>([
    [
      '<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!',
      { localTime: 'Feb  5 17:32:18', host: '10.0.0.99', app: null, message: 'Use the BFG!' },
    ],
    ['<13>Feb 15 17:32:18 sshd[7]: hello', { host: null, app: 'sshd', pid: '7', message: 'hello' }],
    ['<13>Feb 15 17:32:18 fe80::1 cron: hello', { host: 'fe80::1', app: 'cron', pid: null, message: 'hello' }],
    ['<13>Feb 15 17:32:18 h a[]: x: y', { host: 'h', app: 'a', pid: null, message: 'x: y' }],
    ['<13>Feb 15 17:32:18 h', { host: 'h', app: null, message: '' }],
    [
      '<13>2026-01-31T12:00:00.1+01:00 h a: x',
      { timestamp: '2026-01-31T12:00:00.1+01:00', localTime: null, host: 'h', app: 'a', message: 'x' },
    ],
    // As loggen of syslog-ng sends it.
    [
      '<38>2026-11-28T08:21:44 localhost prg00000[1234]: seq: 0000000000, thread: 0000',
      {
        facilityName: 'auth',
        severityName: 'info',
        timestamp: null,
        localTime: '2026-11-28T08:21:44',
        host: 'localhost',
        app: 'prg00000',
        pid: '1234',
        message: 'seq: 0000000000, thread: 0000',
      },
    ],
    ['<13>2026-13-31T12:00:00 h a: x', { localTime: null, message: '2026-13-31T12:00:00 h a: x' }],
    ['<13>Feb 35 17:32:18 h a: x', { localTime: null, host: null, message: 'Feb 35 17:32:18 h a: x' }],
    ['<13>no time: at all', { localTime: null, timestamp: null, host: null, app: null, message: 'no time: at all' }],
    ['<13>', { message: '' }],
    ['<13>2 - - - - -', { message: '2 - - - - -' }],
  ])('%s', (content, expected) => {
    const value = parse(content)
    expect(value).toMatchObject({
      rfc: 3164,
      facilityName: 'user',
      severityName: 'notice',
      msgId: null,
      data: {},
      ...expected,
    })
    expect(parse(print(value) as string)).toEqual(value)
  })

  test('becomes RFC 5424 when the value says so', () => {
    const value = { ...parse('<13>Feb  5 17:32:18 h su[7]: x'), rfc: 5424, timestamp: new Date(0) }
    expect(print(value)).toBe('<13>1 1970-01-01T00:00:00.000Z h su 7 - - x')
  })
})

describe('writing', () => {
  test('takes names and defaults', () => {
    expect(print({ message: 'hello' })).toBe('<13>1 - - - - - - hello')
    expect(print({})).toBe('<13>1 - - - - - -')
    expect(print({ facility: 'local0', severity: 'err', pid: 7, message: 'é' })).toBe('<131>1 - - - 7 - - \ufeffé')
    expect(print({ facilityName: 'mail', severityName: 'debug', message: Buffer.from('x') })).toBe(
      '<23>1 - - - - - - x',
    )
    expect(print({ data: { a: { n: 5, none: null } } })).toBe('<13>1 - - - - - [a n="5" none=""]')
  })

  test.each([
    [null, 'is written from an object'],
    ['x', 'is written from an object'],
    [{ mesage: 'x' }, 'a syslog message has no mesage'],
    [{ zzzzzz: 'x' }, 'a syslog message has no zzzzzz'],
    [{ facility: 24 }, 'facility is no number from 0 to 23'],
    [{ severity: 'bad' }, 'severity is no number from 0 to 7'],
    [{ host: 'a b' }, 'host is "a b"'],
    [{ app: true }, 'app is of a type that it cannot have'],
    [{ timestamp: 'now' }, 'timestamp is "now"'],
    [{ rfc: 3164, localTime: 'now' }, 'localTime is "now"'],
    [{ data: 'x' }, 'data is no object'],
    [{ data: { a: 'x' } }, 'data.a is no object'],
    [{ data: { 'a b': {} } }, '"a b" is no name'],
    [{ data: { a: { 'b"': 1 } } }, 'is no name for structured data'],
  ])('%j is refused', (value, message) => {
    expect(() => print(value)).toThrow(
      expect.objectContaining({ code: 'format_not_printable', message: expect.stringContaining(message) }),
    )
  })

  test('in another encoding', () => {
    const latin1 = syslog.create(syslog.options.parse({ encoding: 'latin1' }))
    const frame = Buffer.from('<13>Feb  5 17:32:18 h a: \xe9', 'latin1')
    expect(parse(frame, latin1).message).toBe('é')
    expect(latin1.print(parse(frame, latin1))).toEqual(frame)
    expect(() => parse(Buffer.from('<13>1 \xe9 h', 'latin1'), latin1)).toThrow(
      'the field TIMESTAMP is missing or no visible ASCII at byte 6',
    )
  })
})
