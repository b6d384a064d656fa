import { readFileSync } from 'node:fs'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { secret, z } from '../contracts/schema.ts'

const RELATIVE = "A relative path starts at the configuration's folder."

/** How a sink that dials speaks TLS. The names are those of `connect:`. */
export const clientTls = z.strictObject({
  ca: z
    .string()
    .min(1)
    .optional()
    .describe(`File with the authorities that are trusted instead of the usual ones, PEM. ${RELATIVE}`),
  cert: z.string().min(1).optional().describe(`File with our own certificate chain, PEM. ${RELATIVE}`),
  key: z.string().min(1).optional().describe(`File with our own private key, PEM. ${RELATIVE}`),
  passphrase: secret().optional().describe('Passphrase of the private key.'),
  insecure: z.boolean().default(false).describe('Accept any certificate. For tests only. Default: false.'),
})

export type ClientTls = z.output<typeof clientTls>

const FILES = ['ca', 'cert', 'key'] as const

/** Options of TLS as Node's own modules take them: contents of files, never paths. */
export interface NodeTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  readonly rejectUnauthorized: boolean
}

/** @throws SluiceError `tls_failed` for a file that cannot be read */
export function readClientTls(options: ClientTls, resolvePath: (path: string) => string): NodeTls {
  const files = FILES.flatMap((name) => {
    const path = options[name]
    return path === undefined ? [] : [[name, read(resolvePath(path))] as const]
  })
  return {
    ...Object.fromEntries(files),
    ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
    rejectUnauthorized: !options.insecure,
  }
}

/** Finds files that cannot be read, before anything is opened. @param tls the option as it was given, if it was */
export function checkClientTls(tls: ClientTls | boolean | undefined, { resolvePath }: CheckContext): OptionProblem[] {
  if (typeof tls !== 'object') return []
  const problems: OptionProblem[] = FILES.flatMap((name) => {
    const path = tls[name]
    if (path === undefined) return []
    try {
      read(resolvePath(path))
      return []
    } catch (error) {
      return [{ path: ['tls', name], message: (error as SluiceError).message }]
    }
  })
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    const [given, missing] = tls.cert === undefined ? ['key', 'cert'] : ['cert', 'key']
    problems.push({ path: ['tls', given!], message: `${given} is of no use without ${missing}` })
  }
  return problems
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? 'unknown error'})`
    throw new SluiceError('tls_failed', `the file ${path} ${reason}`, { cause })
  }
}
