import { expect, test } from 'vitest'
import { parseTarget, targetInWords } from './address.ts'

test.each([
  ['scale:4001', { host: 'scale', port: 4001 }, 'scale:4001'],
  ['10.0.0.7:9100', { host: '10.0.0.7', port: 9100 }, '10.0.0.7:9100'],
  ['[::1]:9100', { host: '::1', port: 9100 }, '[::1]:9100'],
  ['9100', { host: '127.0.0.1', port: 9100 }, '127.0.0.1:9100'],
  ['scale 4001', { host: 'scale', port: 4001 }, 'scale:4001'],
  ['/run/a.sock', { socket: '/run/a.sock' }, '/run/a.sock'],
  ['./a.sock', { socket: './a.sock' }, './a.sock'],
  ['unix:a.sock', { socket: 'a.sock' }, 'a.sock'],
])('%s', (text, target, words) => {
  expect(parseTarget(text)).toEqual(target)
  expect(targetInWords(parseTarget(text))).toBe(words)
})

test.each(['', 'scale', 'scale:', ':80', 'scale:99999', '::1:80', 'a:b:80', '-1'])('%j is no address', (text) => {
  expect(() => parseTarget(text)).toThrow(/is needed|a port is/)
})
