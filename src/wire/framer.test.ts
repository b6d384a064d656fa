import { describe, expect, test } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, type Found, type Frames, NEED_MORE } from '../contracts/framing.ts'
import { line } from '../framings/line.ts'
import { entries } from '../testing/framing-run.ts'
import { Framer } from './framer.ts'

const lines = line.create({ ending: 'lf' })
const lineFramer = (maxLength: number) => new Framer(lines.createDecoder(maxLength), maxLength)
const look = (frames: ReturnType<Framer['push']>) =>
  entries(frames).map(({ bytes, error }) => `${error?.code ?? ''}=${bytes.toString()}`)

/** Takes one byte as a frame, with a few of them meaning something else. */
class ByteDecoder implements Decoder {
  readonly envelope = 0

  next(bytes: Buffer, from: number, _to: number, found: Found): number {
    found.start = from
    found.end = from + 1
    const letter = String.fromCharCode(bytes[from]!)
    if (letter === '!') found.error = new SluiceError('frame_invalid', 'an exclamation mark')
    else if (letter === '_') found.skipped = true
    else if (letter === '*') found.payload = Buffer.from('built')
    else if (letter === '?') throw new SluiceError('frame_invalid', 'a question mark')
    else if (letter === '#') throw new TypeError('a defect')
    else if (letter === '0') return from
    return from + 1
  }
}
const bytewise = (maxLength = 100) => new Framer(new ByteDecoder(), maxLength)

describe('partial frames', () => {
  test('are kept, and joined to what follows', () => {
    const framer = lineFramer(100)
    expect(look(framer.push(Buffer.from('one\ntw')))).toEqual(['=one'])
    expect(framer.unread).toBe(2)
    expect(look(framer.push(Buffer.from('o')))).toEqual([])
    expect(look(framer.push(Buffer.from('\nthree\n')))).toEqual(['=two', '=three'])
    expect(framer.unread).toBe(0)
  })

  test('a read without anything unread is not copied', () => {
    const read = Buffer.from('one\ntwo\n')
    expect(lineFramer(100).push(read).bytes).toBe(read)
  })

  test('an empty read changes nothing', () => {
    const framer = lineFramer(100)
    framer.push(Buffer.from('ab'))
    expect(framer.push(Buffer.alloc(0)).count).toBe(0)
    expect(look(framer.push(Buffer.from('c\n')))).toEqual(['=abc'])
  })
})

describe('the limit', () => {
  test('holds for a frame that is whole, and keeps the frames before it', () => {
    const framer = lineFramer(4)
    expect(look(framer.push(Buffer.from('ab\nabcdef\ncd\n')))).toEqual(['=ab', 'frame_too_long=abcd'])
    expect(framer.broken?.code).toBe('frame_too_long')
    expect(framer.push(Buffer.from('ef\n')).count).toBe(0)
    expect(framer.end().count).toBe(0)
  })

  test('holds for a frame that has not ended', () => {
    const framer = lineFramer(4)
    expect(look(framer.push(Buffer.from('ab\nabcde')))).toEqual(['=ab'])
    expect(look(framer.push(Buffer.from('fg')))).toEqual(['frame_too_long=abcd'])
    expect(framer.unread).toBe(0)
  })

  test('lets the envelope of the framing pass', () => {
    const framer = lineFramer(4)
    expect(look(framer.push(Buffer.from('abcd\r')))).toEqual([])
    expect(look(framer.push(Buffer.from('\n')))).toEqual(['=abcd'])
  })

  test('holds for built payloads', () => {
    expect(look(bytewise(5).push(Buffer.from('a*b')))).toEqual(['=a', '=built', '=b'])
    expect(look(bytewise(4).push(Buffer.from('a*b')))).toEqual(['=a', 'frame_too_long=*b'])
  })

  test('is the smaller one of the decoder and the driver', () => {
    const decoder = Object.assign(lines.createDecoder(4), { maxLength: 4 })
    expect(look(new Framer(decoder, 100).push(Buffer.from('abcde\n')))).toEqual(['frame_too_long=abcd'])
    const wide = Object.assign(lines.createDecoder(4), { maxLength: 100 })
    expect(look(new Framer(wide, 4).push(Buffer.from('abcde\n')))).toEqual(['frame_too_long=abcd'])
  })
})

describe('the end of the input', () => {
  test('in mid-frame gives what was unread as a truncated frame', () => {
    const framer = lineFramer(100)
    framer.push(Buffer.from('one\ntw'))
    expect(look(framer.end())).toEqual(['frame_truncated=tw'])
    expect(framer.unread).toBe(0)
  })

  test('between frames gives nothing', () => {
    const framer = lineFramer(100)
    framer.push(Buffer.from('one\n'))
    expect(framer.end().count).toBe(0)
    expect(framer.broken).toBeUndefined()
  })

  test('is shown to a decoder that can make frames of it', () => {
    const decoder: Decoder = {
      next: () => NEED_MORE,
      end(_bytes, from, to, found) {
        if (to - from < 2) return NEED_MORE
        found.start = from
        found.end = from + 2
        return from + 2
      },
    }
    const framer = new Framer(decoder, 100)
    framer.push(Buffer.from('abc'))
    framer.push(Buffer.from('de'))
    expect(look(framer.end())).toEqual(['=ab', '=cd', 'frame_truncated=e'])
  })
})

describe('abandon', () => {
  const timeout = new SluiceError('frame_timeout', 'too slow')

  test('gives up the unfinished frame', () => {
    const framer = lineFramer(100)
    framer.push(Buffer.from('one\ntw'))
    framer.push(Buffer.from('o'))
    expect(look(framer.abandon(timeout))).toEqual(['frame_timeout=two'])
    expect(framer.broken).toBe(timeout)
    expect(framer.push(Buffer.from('\n')).count).toBe(0)
  })

  test('does nothing once the stream is broken', () => {
    const framer = bytewise()
    framer.push(Buffer.from('?'))
    expect(framer.abandon(timeout).count).toBe(0)
    expect(framer.broken?.code).toBe('frame_invalid')
  })
})

describe('what a decoder finds', () => {
  test('errors stand in their place among frames, built payloads and skipped bytes', () => {
    expect(look(bytewise().push(Buffer.from('a!*_b!c')))).toEqual([
      '=a',
      'frame_invalid=!',
      '=built',
      '=b',
      'frame_invalid=!',
      '=c',
    ])
    expect(look(bytewise().push(Buffer.from('a_b!')))).toEqual(['=a', '=b', 'frame_invalid=!'])
  })

  test('skipped bytes are not unread', () => {
    const framer = bytewise()
    expect(framer.push(Buffer.from('__')).count).toBe(0)
    expect(framer.unread).toBe(0)
  })

  test('what it throws ends the stream behind the frames before it', () => {
    const framer = bytewise()
    expect(look(framer.push(Buffer.from('a*?bc')))).toEqual(['=a', '=built', 'frame_invalid=?bc'])
    expect(look(bytewise().push(Buffer.from('a#')))).toEqual(['=a', 'frame_invalid=#'])
  })

  test('a decoder that does not go on breaks its stream instead of hanging the server', () => {
    const framer = bytewise()
    framer.push(Buffer.from('a0'))
    expect(framer.broken?.code).toBe('internal')
  })

  test('the byte that stands between frames is told with them', () => {
    expect(lineFramer(9).push(Buffer.from('a\n')).separator).toBe(10)
    expect(bytewise().push(Buffer.from('a*')).separator).toBeUndefined()
  })

  test('frames are seamless when nothing but one separator stands between them', () => {
    const seamless = (...reads: string[]) => {
      const framer = lineFramer(9)
      return reads.map((read) => framer.push(Buffer.from(read)).seamless)
    }
    expect(seamless('a\n\nbc\n', 'd', 'e\nf\n')).toEqual([true, false, true])
    expect(seamless('a\r\nb\n')).toEqual([false])
    expect(seamless('a\nb\r\n')).toEqual([false])
    // A read that may hold a frame above the limit is looked at frame by frame.
    expect(seamless('1\n2\n3\n4\n5\n6\n')).toEqual([false])
  })
})

test('a frame of 1 MiB in single bytes is copied a few times only, and never searched beyond what was read', () => {
  const length = 1 << 20
  const inner = lines.createDecoder(length)
  const places = new Set<ArrayBufferLike>()
  let beyond = 0
  const decoder: Decoder = {
    next(bytes, from, to, found) {
      if (places.add(bytes.buffer).size > 25) throw new Error('copied too often')
      beyond += bytes.length - to
      return inner.next(bytes, from, to, found)
    },
  }
  const framer = new Framer(decoder, length)
  const byte = Buffer.from('a')
  for (let i = 0; i < length; i++) framer.push(byte)
  const frames = framer.push(Buffer.from('\n'))
  expect(framer.broken).toBeUndefined()
  expect(frames.at(0).length).toBe(length)
  expect(beyond).toBe(0)
})

test('later reads never change earlier frames', () => {
  const framer = lineFramer(100)
  const given: { frames: ReturnType<Framer['push']>; text: string[] }[] = []
  const stream = Buffer.from('one\ntwo\nthree\nfour\nfive\n'.repeat(20))
  for (let at = 0, size = 1; at < stream.length; at += size, size = (size * 7) % 11) {
    const frames = framer.push(Buffer.from(stream.subarray(at, at + size)))
    given.push({ frames, text: look(frames) })
  }
  for (const { frames, text } of given) expect(look(frames)).toEqual(text)
  expect(given.flatMap(({ text }) => text).slice(0, 3)).toEqual(['=one', '=two', '=three'])
})

test('an unfinished frame does not keep the read in memory in which it began', () => {
  const framer = lineFramer(100_000)
  const read = Buffer.from(`${'x'.repeat(60_000)}\nrest`)
  framer.push(read)
  expect(framer.push(Buffer.from('!')).bytes.buffer).not.toBe(read.buffer)
})

test('a read of very many tiny frames comes in portions, and none is lost', () => {
  const framer = lineFramer(100)
  const read = Buffer.from(`${'\n'.repeat(5000)}end\n`)
  let count = 0
  let at = 0
  for (; at < read.length; at += framer.taken) {
    const portion = framer.push(read.subarray(at)).count
    expect(portion).toBeLessThanOrEqual(1024)
    count += portion
  }
  expect([at, count, framer.unread]).toEqual([read.length, 5001, 0])
})

describe('a large read behind an unfinished frame', () => {
  /** As a connection does it: again and again, until all was taken. */
  const pushAll = (framer: Framer, chunk: Buffer) => {
    const all: ReturnType<Framer['push']>[] = []
    for (let at = 0; at < chunk.length; at += framer.taken) all.push(framer.push(chunk.subarray(at)))
    return all
  }

  test('is not copied but for the head that ends it', () => {
    const framer = lineFramer(100)
    framer.push(Buffer.from('one\ntw'))
    const read = Buffer.from(`o\n${'three\n'.repeat(10_000)}fo`)
    const [head, ...body] = pushAll(framer, read)
    expect(look(head!)).toEqual(['=two'])
    expect(body.every(({ bytes }) => bytes.buffer === read.buffer)).toBe(true)
    expect(body.reduce((sum, { count }) => sum + count, 0)).toBe(10_000)
    expect(look(framer.push(Buffer.from('ur\n')))).toEqual(['=four'])
  })

  test('gives the same frames however long they are and wherever it is cut', () => {
    for (const length of [1, 100, 2046, 2047, 2048, 2049, 5000, 40_000, 70_000]) {
      const stream = Buffer.from(`${'x'.repeat(length)}\n${'y'.repeat(length)}\n`.repeat(Math.ceil(100_000 / length)))
      for (const size of [20_000, 65_536]) {
        const framer = lineFramer(100_000)
        let count = 0
        for (let at = 0; at < stream.length; at += size) {
          for (const frames of pushAll(framer, stream.subarray(at, at + size))) {
            for (const { bytes, error } of entries(frames)) {
              const letter = count++ % 2 === 0 ? 'x' : 'y'
              if (error !== undefined || !bytes.equals(Buffer.alloc(length, letter))) expect.unreachable()
            }
          }
        }
        expect(count).toBe(2 * Math.ceil(100_000 / length))
        expect(framer.unread).toBe(0)
      }
    }
  })
})

describe('silence', () => {
  const quietDecoder = { silence: 5, next: () => NEED_MORE, end: allOf }

  function allOf(_bytes: Buffer, from: number, to: number, found: Found): number {
    found.start = from
    found.end = to
    return from === to ? NEED_MORE : to
  }

  test('is told to the receiver, again and again while that does not count it, and a frame ends with it', async () => {
    const framer = new Framer(quietDecoder, 100)
    const { promise, resolve } = Promise.withResolvers<void>()
    let told = 0
    const receiver = {
      takeFrames: (frames: Frames) => expect(frames.count).toBe(0),
      onQuiet() {
        if (++told === 3) resolve()
        return told < 3
      },
    }
    framer.feed(Buffer.from('ab'), receiver)
    framer.feed(Buffer.from('c'), receiver)
    await promise
    expect(look(framer.end())).toEqual(['=abc'])
    framer.push(Buffer.from('d'))
    expect(look(framer.end())).toEqual(['=d'])
  })

  test('a decoder is told when the connection broke', () => {
    const resets: boolean[] = []
    const decoder = {
      next: () => NEED_MORE,
      end(_bytes: Buffer, _from: number, _to: number, _found: Found, reset: boolean) {
        resets.push(reset)
        return NEED_MORE
      },
    }
    for (const reset of [true, false]) {
      const framer = new Framer(decoder, 100)
      framer.push(Buffer.from('x'))
      expect(framer.end(reset).errors?.get(0)?.code).toBe('frame_truncated')
    }
    expect(resets).toEqual([true, false])
  })
})
