import { readFileSync } from 'node:fs'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { secret, z } from '../contracts/schema.ts'
import { readNamed } from './named-file.ts'

const RELATIVE = "A relative path starts at the configuration's folder."

const files = {
  ca: z.string().min(1).optional().describe(`PEM file of the authority that signed the server. ${RELATIVE}`),
  cert: z.string().min(1).optional().describe(`PEM file of our own certificate, where the server asks. ${RELATIVE}`),
  key: z.string().min(1).optional().describe(`PEM file of the key to \`cert\`. ${RELATIVE}`),
}

/** What the option `tls` of a sink may hold as a mapping. */
export const tlsMapping = z.strictObject({
  ...files,
  passphrase: secret().optional().describe('Opens the file of `key`.'),
  servername: z.string().min(1).optional().describe("Name in the server's certificate. Default: the host."),
  insecure: z
    .boolean()
    .default(false)
    .describe('Take any certificate: whoever is in between can read along. Default: false.'),
})

/** The option `tls` of a sink whose client library encrypts by itself: `true`, or a mapping. */
export const tlsOption = z
  .union([z.boolean(), tlsMapping])
  .default(false)
  .describe('Encrypt: `true`, or a mapping with the files to use. Default: false.')

/** The option `tls` once it was read. */
export type TlsOption = z.output<typeof tlsOption>

/** What the function `connect` of `node:tls` understands. */
export interface TlsSettings {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  readonly servername?: string
  readonly rejectUnauthorized: boolean
}

/**
 * Reads the files.
 * @returns undefined when the connection is not encrypted
 * @throws what `node:fs` throws; `checkTls` has said it in better words before
 */
export function readTls(tls: TlsOption, resolvePath: (path: string) => string): TlsSettings | undefined {
  if (tls === false) return undefined
  if (tls === true) return { rejectUnauthorized: true }
  const { ca, cert, key, passphrase, servername, insecure } = tls
  const read = (path: string) => readFileSync(resolvePath(path), 'utf8')
  return {
    ...(ca !== undefined && { ca: read(ca) }),
    ...(cert !== undefined && { cert: read(cert) }),
    ...(key !== undefined && { key: read(key) }),
    ...(passphrase !== undefined && { passphrase }),
    ...(servername !== undefined && { servername }),
    rejectUnauthorized: !insecure,
  }
}

/** Reports files that cannot be read, and half a pair of certificate and key. */
export function checkTls(tls: TlsOption, context: CheckContext): OptionProblem[] {
  if (typeof tls === 'boolean') return []
  const problems = Object.keys(files).flatMap((option) => {
    const path = tls[option as keyof typeof files]
    return path === undefined ? [] : checkFile(path, ['tls', option], context)
  })
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    problems.push({ path: ['tls'], message: 'cert and key belong together', hint: 'give both, or neither' })
  }
  return problems
}

/** Reports a file that cannot be read. @param path where the option stands */
export function checkFile(file: string, path: OptionProblem['path'], context: CheckContext): OptionProblem[] {
  const read = readNamed(file, context.resolvePath(file))
  return typeof read === 'string' ? [] : [{ path, ...read }]
}
