import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteWriter } from './byte-writer.ts'

test('what was written comes out in order, once', () => {
  const part = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 20 }).map(Buffer.from))
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const writer = new ByteWriter()
      for (const one of parts) writer.write(one)
      expect(writer.take()).toEqual(Buffer.concat(parts.map((one) => Buffer.from(one as string))))
      expect(writer.empty).toBe(true)
      expect(writer.take()).toHaveLength(0)
    }),
  )
})

test('a buffer that is alone is given out as it is', () => {
  const writer = new ByteWriter()
  const buffer = Buffer.from('alone')
  writer.write(buffer)
  expect(writer.empty).toBe(false)
  expect(writer.take()).toBe(buffer)
})

test('what must be joined is joined where the caller says', () => {
  const writer = new ByteWriter()
  const memory = Buffer.alloc(100, '.')
  const given: number[] = []
  const room = (length: number) => {
    given.push(length)
    return memory
  }
  for (const part of ['ab', Buffer.from('cd'), 'ef']) writer.write(part)
  const joined = writer.takeInto(room)
  expect(joined.toString()).toBe('abcdef')
  expect(joined.buffer).toBe(memory.buffer)
  const alone = Buffer.from('alone')
  writer.write(alone)
  expect(writer.takeInto(room)).toBe(alone)
  expect(writer.takeInto(room)).toHaveLength(0)
  expect(given).toEqual([6])
})

test('large parts need not be joined', () => {
  const writer = new ByteWriter()
  const [head, body] = [Buffer.from('a\n'), Buffer.alloc(30_000)]
  const write = () => [head, body, '\u00f6'].forEach((part) => void writer.write(part))
  write()
  const parts = writer.takeParts()
  expect(parts).toHaveLength(3)
  expect(parts[1]).toBe(body)
  expect(writer.empty).toBe(true)
  expect(writer.take()).toHaveLength(0)
  write()
  expect(writer.take()).toEqual(Buffer.concat(parts))
  for (let i = 0; i < 100; i++) writer.write(head)
  expect(writer.takeParts()).toEqual([Buffer.from('a\n'.repeat(100))])
})

test('a piece of text alone stays text; with bytes it is bytes', () => {
  const writer = new ByteWriter()
  writer.write('a')
  writer.write('ö')
  expect(writer.takePiece()).toBe('aö')
  writer.write('a')
  writer.write(Buffer.from([0xff]))
  expect(writer.takePiece()).toEqual(Buffer.from([0x61, 0xff]))
  expect(writer.empty).toBe(true)
})
