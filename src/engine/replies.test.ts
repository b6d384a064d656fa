import { describe, expect, it } from 'vitest'
import type { Format } from '../contracts/format.ts'
import { Frames } from '../contracts/framing.ts'
import { bytes } from '../formats/bytes.ts'
import { json } from '../formats/json.ts'
import { line } from '../framings/line.ts'
import { Replies } from './replies.ts'

const framing = line.create(line.options.parse({}))
/** The answers of a run whose messages are numbered from 10. */
function create(format: Format = bytes.create(bytes.options.parse({}))): Replies {
  const replies = new Replies({ framing, format })
  replies.begin(10)
  return replies
}

function frames(...texts: string[]): Frames {
  const result = new Frames(Buffer.from(texts.join('')))
  let start = 0
  for (const { length } of texts) {
    result.push(start, start + length)
    start += length
  }
  return result
}

describe('the answers of a run', () => {
  it('leave in the order of their slots, in one piece', () => {
    const replies = create()
    replies.add(12, 'text', 'c')
    replies.add(10, 'text', Buffer.from('a'))
    replies.add(10, 'raw', '!')
    expect(replies.count).toBe(3)
    expect(replies.takeAll()?.toString()).toBe('a\n!c\n')
    expect(replies.count).toBe(0)
    expect(replies.takeAll()).toBeUndefined()
  })

  it('may leave early from the first slot alone', () => {
    const replies = create()
    replies.add(11, 'text', 'b')
    expect(replies.takeFirst()).toBeUndefined()
    replies.add(10, 'text', 'a')
    expect(replies.takeFirst()?.toString()).toBe('a\n')
    expect(replies.takeFirst()).toBeUndefined()
    replies.add(10, 'text', 'late')
    expect(replies.takeAll()?.toString()).toBe('late\nb\n')
  })

  it('are lost when the run of their message has ended', () => {
    const replies = create()
    expect(replies.add(10, 'text', 'in time')).toBe(true)
    replies.takeAll()
    expect(replies.add(10, 'text', 'between runs')).toBe(false)
    replies.begin(11)
    expect(replies.add(10, 'text', 'in the next run')).toBe(false)
    expect(replies.add(11, 'text', 'b')).toBe(true)
    expect(replies.takeAll()?.toString()).toBe('b\n')
  })

  it('are nothing when content cannot be written', () => {
    const replies = create(json.create(json.options.parse({})))
    expect(() => replies.add(10, 'value', 1n)).toThrow()
    expect(() => replies.add(10, 'text', 'two\nlines')).toThrow()
    expect(replies.count).toBe(0)
    expect(replies.takeAll()).toBeUndefined()
  })
})

describe('an echo', () => {
  it('answers each frame with itself', () => {
    const replies = create()
    expect(replies.echo([frames('a', 'b'), frames('c')])).toBe(true)
    expect(replies.count).toBe(3)
    expect(replies.takeAll()?.toString()).toBe('a\nb\nc\n')
  })

  it('may be followed by a reply to one of the messages, and may leave early', () => {
    const replies = create()
    replies.echo([frames('a', 'b')])
    replies.add(10, 'text', 'more')
    expect(replies.takeFirst()?.toString()).toBe('a\nmore\n')
    expect(replies.takeAll()?.toString()).toBe('b\n')
  })

  it('is refused behind other answers', () => {
    const replies = create()
    replies.add(10, 'text', 'x')
    expect(replies.echo([frames('a')])).toBe(false)
    expect(replies.takeAll()?.toString()).toBe('x\n')
  })
})
