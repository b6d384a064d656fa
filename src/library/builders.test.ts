import { describe, expect, expectTypeOf, it } from 'vitest'
import { createRegistry, formats, framings, sinks } from '../registry/builtins.ts'
import { type FormatRef, type FramingRef, format, framing, type SinkRef, sink, type ValueOf } from './builders.ts'

interface Reading {
  readonly device: string
  readonly temp: number
}

describe('the builders', () => {
  it('give what a user would write in YAML', () => {
    expect(framing.line()).toEqual({ line: {} })
    expect(framing.delimiter('|')).toEqual({ delimiter: '|' })
    expect(framing.lengthPrefix({ bytes: 2, endian: 'big' })).toEqual({ 'length-prefix': { bytes: 2, endian: 'big' } })
    expect(format.json<Reading>()).toEqual({ json: {} })
    expect(format.text('latin1')).toEqual({ text: 'latin1' })
    expect(sink.sqlite({ file: 'readings.db', table: 'readings' })).toEqual({
      sqlite: { file: 'readings.db', table: 'readings' },
    })
  })

  it('exist for every built-in framing, format and sink', () => {
    expect(Object.keys(framing)).toHaveLength(framings.length)
    expect(Object.keys(format)).toHaveLength(formats.length)
    expect(Object.keys(sink)).toHaveLength(sinks.length)
  })

  it('name parts that the registry has', () => {
    const registry = createRegistry()
    const [name] = Object.keys(framing.startEnd({ start: '\\x02', end: '\\x03' }))
    expect(registry.get('framing', name!)?.name).toBe('start-end')
  })

  it('carry the type of the values', () => {
    expectTypeOf(format.json<Reading>()).toEqualTypeOf<FormatRef<Reading>>()
    expectTypeOf(format.json()).toEqualTypeOf<FormatRef<unknown>>()
    expectTypeOf(format.text()).toEqualTypeOf<FormatRef<string>>()
    expectTypeOf(format.bytes()).toEqualTypeOf<FormatRef<Buffer>>()
    expectTypeOf(format.hex()).toEqualTypeOf<FormatRef<Buffer>>()
    expectTypeOf<ValueOf<FormatRef<Reading>>>().toEqualTypeOf<Reading>()
    const reading = format.json<Reading>()
    expectTypeOf<ValueOf<typeof reading>>().toEqualTypeOf<Reading>()
    expectTypeOf<ValueOf<ReturnType<typeof format.text>>>().toEqualTypeOf<string>()
    expectTypeOf(framing.line()).toEqualTypeOf<FramingRef>()
    expectTypeOf(sink.stdout()).toEqualTypeOf<SinkRef>()
  })

  it('take the options of the part, its short form, and nothing else', () => {
    expectTypeOf(framing.delimiter).toBeCallableWith('|')
    expectTypeOf(framing.delimiter).toBeCallableWith(['\\r\\n', '\\r'])
    expectTypeOf(framing.delimiter).toBeCallableWith({ any: { hex: '0d' }, maxLength: '1KiB' })
    expectTypeOf(framing.fixed).parameter(0).extract<{ length: unknown }>().toHaveProperty('length')
    expectTypeOf<string>().not.toExtend<Parameters<typeof framing.line>[0]>()
    expectTypeOf<[]>().not.toExtend<Parameters<typeof framing.delimiter>>()
    expectTypeOf<[]>().not.toExtend<Parameters<typeof sink.sqlite>>()
    expectTypeOf<{ bytes: 2; endian: 'middle' }>().not.toExtend<Parameters<typeof framing.lengthPrefix>[0]>()
  })
})
