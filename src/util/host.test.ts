import { expect, test } from 'vitest'
import { hostProblem } from './host.ts'

test.each([
  ['127.0.0.1:99', 'a port', 'write host: 127.0.0.1, port: 99'],
  ['localhost:5', 'a port', 'write host: localhost, port: 5'],
  ['localhost:', 'a port', 'write host: localhost'],
  ['[fe80::1%eth0]:9100', 'a port', 'write host: fe80::1%eth0, port: 9100'],
  ['tcp://127.0.0.1', 'a scheme', 'write host: 127.0.0.1'],
  ['TLS://scale-7.local:2112/', 'a scheme', 'write host: scale-7.local, port: 2112'],
  ['http://[::1]:80/x', 'a scheme', 'write host: ::1, port: 80'],
  ['[::1]', 'brackets', 'write host: ::1'],
  ['[fe80::1%eth0]', 'brackets', 'write host: fe80::1%eth0'],
  ['tcp://', 'a scheme', 'write the name or the address alone'],
  ['10.0.0.7/print', 'a path', 'write host: 10.0.0.7'],
  ['a b', 'blanks', 'write the name or the address alone'],
  [' 10.0.0.7\t', 'blanks', 'write host: 10.0.0.7'],
  [' ', 'blanks', 'write the name or the address alone'],
])('%j is no host', (text, what, hint) => {
  expect(hostProblem(text)).toEqual({
    message: `a host is an address or a name, and this one holds ${what}`,
    hint,
  })
})

test.each([
  '127.0.0.1',
  '0.0.0.0',
  '::',
  '::1',
  'fe80::1%eth0',
  '::ffff:10.0.0.7',
  '2001:db8::7:99',
  'localhost',
  'scale_7.plant-2.local.',
  'xn--mnchen-3ya.example',
  'münchen.example',
  '7',
])('%s may be a host', (text) => {
  expect(hostProblem(text)).toBeUndefined()
})
