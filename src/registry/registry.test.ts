import { describe, expect, it } from 'vitest'
import { defineFormat, defineFraming, defineSink, defineStep } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { Registry } from './registry.ts'

const options = z.strictObject({})

function unused(): never {
  throw new Error('not created in this test')
}

function framingNamed(name: string) {
  return defineFraming({ name, summary: 'A framing.', options, examples: [], create: unused })
}

function formatNamed(name: string) {
  return defineFormat({ name, summary: 'A format.', options, examples: [], rejects: [], create: unused })
}

function stepNamed(name: string) {
  return defineStep({ name, summary: 'A step.', options, examples: [], create: unused })
}

function sinkNamed(name: string) {
  return defineSink({
    name,
    summary: 'A sink.',
    options,
    examples: [],
    confirms: () => 'os',
    finished: 'it is written',
    create: unused,
  })
}

describe('Registry', () => {
  it('gives a part by kind and name', () => {
    const line = framingNamed('line')
    const registry = new Registry().add(line)
    expect(registry.get('framing', 'line')).toBe(line)
    expect(registry.get('framing', 'lines')).toBeUndefined()
    expect(registry.get('format', 'line')).toBeUndefined()
  })

  it('finds steps and sinks in one set of names', () => {
    const filter = stepNamed('filter')
    const sqlite = sinkNamed('sqlite')
    const registry = new Registry().add(filter).add(sqlite)
    expect(registry.find('filter')).toBe(filter)
    expect(registry.find('sqlite')).toBe(sqlite)
    expect(registry.get('step', 'sqlite')).toBeUndefined()
    expect(registry.get('sink', 'sqlite')).toBe(sqlite)
    expect(() => registry.add(stepNamed('sqlite'))).toThrow('there is a sink of this name already')
  })

  it('lets a framing, a format and a step have the same name', () => {
    const registry = new Registry().add(framingNamed('hex')).add(formatNamed('hex')).add(stepNamed('hex'))
    expect(registry.names('framing')).toEqual(['hex'])
    expect(() => registry.add(formatNamed('hex'))).toThrow('there is a format of this name already')
  })

  it.each(['', 'Line', '1st', 'length_prefix', 'length-', 'length-Prefix', 'a b', '__proto__'])(
    'refuses the name "%s"',
    (name) => {
      expect(() => new Registry().add(framingNamed(name))).toThrow('kebab-case or camelCase')
    },
  )

  it.each(['line', 'length-prefix', 'deadLetter', 'crc16', 'utf-8'])('takes the name "%s"', (name) => {
    expect(new Registry().add(framingNamed(name)).names('framing')).toEqual([name])
  })

  it('refuses a step named like a key that stands beside steps', () => {
    expect(() => new Registry().add(stepNamed('else'))).toThrow('has a meaning beside every step')
    expect(new Registry().add(framingNamed('else')).names('framing')).toEqual(['else'])
  })

  it('lists in the order of adding', () => {
    const registry = new Registry().add(stepNamed('map')).add(sinkNamed('file')).add(stepNamed('filter'))
    expect(registry.names('step')).toEqual(['map', 'filter'])
    expect(registry.list('sink').map(({ finished }) => finished)).toEqual(['it is written'])
  })

  it('clones without sharing', () => {
    const original = new Registry().add(stepNamed('map'))
    const copy = original.clone().add(stepNamed('filter'))
    expect(copy.names('step')).toEqual(['map', 'filter'])
    expect(original.names('step')).toEqual(['map'])
  })
})
