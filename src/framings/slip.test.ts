import { expect, test } from 'vitest'
import { decodeAll, encodeOne, singleBytes } from '../testing/framing-run.ts'
import { slip } from './slip.ts'

const framing = slip.create({})
const hex = (digits: string) => Buffer.from(digits, 'hex')
const decode = (digits: string) => decodeAll(framing, [hex(digits)])

test('END stands in front and behind, and both special bytes are escaped (RFC 1055)', () => {
  expect(encodeOne(framing, hex('01c002db03'))).toEqual(hex('c001dbdc02dbdd03c0'))
  expect(encodeOne(framing, '')).toBeUndefined()
})

test('noise before the first END is a frame of its own, ENDs alone are none', () => {
  expect(decode('41c0c0c042c0')).toEqual(['=A', '=B'])
})

test('a wrong escape is a damaged frame, and reading goes on behind it', () => {
  expect(decode('41db42c043c0')).toEqual(['!A\xdbB', '=C'])
  expect(decode('41dbc043c0')).toEqual(['!A\xdb', '=C'])
})

test('a frame that is cut between an escape and its byte keeps what was whole', () => {
  const cut = slip.create({ maxLength: 1, whenTooLong: 'truncate' })
  for (const reads of [[hex('41424344dbdc45c046c0')], singleBytes(hex('41424344dbdc45c046c0'))]) {
    expect(decodeAll(cut, reads)).toEqual(['!A', '=F'])
  }
})
