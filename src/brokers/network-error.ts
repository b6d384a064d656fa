import { SluiceError, toSluiceError } from '../contracts/errors.ts'

/**
 * Says in words why the network did not let us through.
 * @param where the other side, as a person would name it: `127.0.0.1:5432`
 * @returns undefined for an error that is not the network's
 */
export function networkProblem(error: unknown, where: string): string | undefined {
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return `nothing listens at ${where}`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name of ${where} cannot be resolved`
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
      return `${where} has broken the connection`
    case 'ETIMEDOUT':
      return `${where} does not answer`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return `there is no way to ${where}`
    case 'EACCES':
    case 'EPERM':
      return `the operating system does not allow a connection to ${where}`
    default:
      return undefined
  }
}

/** Why a certificate was not believed or TLS could not begin, in words; undefined for an error that is not TLS's. */
export function tlsProblem(error: unknown, where: string): { message: string; hint: string } | undefined {
  const code = codeOf(error) ?? ''
  const reason = error instanceof Error ? error.message : String(error)
  if (UNTRUSTED.test(code)) {
    return {
      message: `the certificate of ${where} is not signed by an authority that is trusted`,
      hint: 'Give the file of its authority: tls: { ca: FILE }.',
    }
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      message: `the certificate of ${where} is for another name`,
      hint: 'Write the host as its certificate names it.',
    }
  }
  if (/^CERT_/.test(code)) return { message: `the certificate of ${where} is not valid: ${reason}`, hint: 'Renew it.' }
  if (code === 'EPROTO' || /^ERR_(?:SSL|TLS|OSSL)_/.test(code)) {
    return { message: `TLS with ${where} failed: ${reason.split('\n', 1)[0]}`, hint: 'Does this port speak TLS?' }
  }
  return undefined
}

/** Why there is no connection, in words. Not `retryable` when a certificate is to blame: no other attempt changes that. */
export function unreachable(thrown: unknown, address: string): SluiceError {
  const tls = tlsProblem(thrown, address)
  if (tls !== undefined) return new SluiceError('tls_failed', tls.message, { hint: tls.hint, cause: thrown })
  const message = networkProblem(thrown, address) ?? `${address} cannot be reached: ${toSluiceError(thrown).message}`
  return new SluiceError('sink_unavailable', message, { retryable: true, cause: thrown })
}

/** An error that may pass. */
export function unavailable(message: string, cause?: unknown, { hint }: { hint?: string } = {}): SluiceError {
  return new SluiceError('sink_unavailable', message, { cause, retryable: true, ...(hint !== undefined && { hint }) })
}

const UNTRUSTED = /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|CERT_UNTRUSTED/

/** Of several attempts at several addresses, the error of the first. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  return error instanceof AggregateError ? codeOf(error.errors[0]) : undefined
}
