import { isReadable } from '../../contracts/readable.ts'
import { hasIndex, readIndex, writeKey } from '../values.ts'
import {
  anything,
  define,
  type FunctionDefinition,
  list,
  map,
  optional,
  param,
  rest,
  text,
  ValueError,
} from './define.ts'
import { numbersOf } from './numbers.ts'

/** Functions of lists, maps and JSON. They give new values and leave their arguments as they are. */
export const dataFunctions: Readonly<Record<string, FunctionDefinition>> = {
  get: define({
    params: [param('value', anything), param('path', text), optional('fallback', anything)],
    summary:
      'What stands at a path such as a.b[0], or in an HL7 message at PID-3.1; the fallback, or null, when nothing does.',
    example: 'get({"a": [{"b": 7}]}, "a[0].b")',
    result: '7',
    run: (value, path, fallback = null) => (isReadable(value) ? value.get(path) : walk(value, path)) ?? fallback,
  }),
  keys: define({
    params: [param('map', map)],
    summary: 'The keys of a map, as a list.',
    example: 'keys({"a": 1, "b": 2})',
    result: '["a", "b"]',
    run: (value) => Object.keys(value),
  }),
  merge: define({
    params: [rest('map', map)],
    summary: 'One map with the keys of all; later ones win.',
    example: 'merge({"a": 1, "b": 1}, {"b": 2})',
    result: '{"a": 1, "b": 2}',
    run(...maps) {
      const result: Record<string, unknown> = {}
      for (const each of maps) for (const key of Object.keys(each)) writeKey(result, key, each[key])
      return result
    },
  }),
  first: define({
    params: [param('list', list)],
    summary: 'The first item; null when there is none.',
    example: 'first([3, 1])',
    result: '3',
    run: (items) => readIndex(items, 0),
  }),
  last: define({
    params: [param('list', list)],
    summary: 'The last item; null when there is none.',
    example: 'last([3, 1])',
    result: '1',
    run: (items) => readIndex(items, items.length - 1),
  }),
  sum: define({
    params: [param('list', list)],
    summary: 'The sum of the numbers of a list; 0 when it is empty.',
    example: 'sum([1, 2.5])',
    result: '3.5',
    run: (items) => (items.length === 0 ? 0 : total(items)),
  }),
  avg: define({
    params: [param('list', list)],
    summary: 'The mean of the numbers of a list; null when it is empty.',
    example: 'avg([1, 2])',
    result: '1.5',
    run: (items) => (items.length === 0 ? null : total(items) / items.length),
  }),
  json: define({
    params: [param('value', anything)],
    summary: 'The value as JSON, in one line.',
    example: 'json({"id": 7, "ok": true})',
    result: '"{\\"id\\":7,\\"ok\\":true}"',
    run: toJson,
  }),
  parseJson: define({
    params: [param('text', text)],
    summary: 'The value that a JSON text stands for.',
    example: 'parseJson("[1, 2]")',
    result: '[1, 2]',
    run: fromJson,
  }),
  lookup: define({
    params: [param('map', map), param('key', anything), optional('fallback', anything)],
    summary: 'What a table has for a key; the fallback, or null, when it has nothing.',
    example: 'lookup({"1": "red", "2": "green"}, 2, "unknown")',
    result: '"green"',
    run: (table, key, fallback = null) => (hasIndex(table, key) ? readIndex(table, key) : fallback),
  }),
}

function walk(value: unknown, path: string): unknown {
  let found = value
  for (const part of path.replaceAll(/\[(\d+)\]/g, '.$1').split('.')) {
    if (part !== '') found = readIndex(found, Array.isArray(found) && /^\d+$/.test(part) ? Number(part) : part)
  }
  return found
}

function total(items: readonly unknown[]): number {
  return numbersOf([items]).reduce((a, b) => a + b)
}

function toJson(value: unknown): string {
  if (value instanceof Uint8Array) throw new ValueError('bytes have no JSON; write base64() or hex()')
  return JSON.stringify(value)
}

function fromJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch (error) {
    throw new ValueError(`the text is not JSON: ${(error as Error).message}`)
  }
}
