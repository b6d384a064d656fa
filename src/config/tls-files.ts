import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { readNamed } from '../brokers/named-file.ts'
import { type ConfigPath, formatPath } from './problems.ts'
import type { Report } from './report.ts'

interface TlsFiles {
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly ca?: string | undefined
  readonly passphrase?: string | undefined
}

/**
 * Replaces the names of PEM files by what is in them, and reports files that cannot be what they are named for.
 * @param path that of the option `tls`
 */
export function readTlsFiles(files: TlsFiles, path: ConfigPath, baseDir: string, report: Report) {
  const tls = new TlsReader(files, path, baseDir, report)
  const contents = { cert: tls.read('cert'), key: tls.read('key'), ca: tls.read('ca') }
  const { passphrase } = files
  tls.certificate('ca', contents.ca)
  const certificate = tls.certificate('cert', contents.cert)
  const key = tls.privateKey(contents.key)
  if (certificate !== undefined && key !== undefined) tls.pair(certificate, key)
  tls.bothOrNone()
  return {
    ...(contents.cert !== undefined && { cert: contents.cert }),
    ...(contents.key !== undefined && { key: contents.key }),
    ...(contents.ca !== undefined && { ca: contents.ca }),
    ...(passphrase !== undefined && { passphrase }),
  }
}

/** What `tls:` says of the handshake. */
export function handshake(
  tls: { readonly handshakeTimeout: number; readonly minVersion: 'TLSv1.2' | 'TLSv1.3' } | undefined,
) {
  return tls === undefined ? {} : { handshakeTimeout: tls.handshakeTimeout, minVersion: tls.minVersion }
}

class TlsReader {
  readonly #files: TlsFiles
  readonly #path: ConfigPath
  readonly #baseDir: string
  readonly #report: Report

  constructor(files: TlsFiles, path: ConfigPath, baseDir: string, report: Report) {
    this.#files = files
    this.#path = path
    this.#baseDir = baseDir
    this.#report = report
  }

  read(option: 'cert' | 'key' | 'ca'): string | undefined {
    const file = this.#files[option]
    if (file === undefined) return undefined
    const read = readNamed(file, resolve(this.#baseDir, file))
    if (typeof read === 'string') return read
    this.#report.add({ code: 'REFERENCE_FAILED', path: [...this.#path, option], ...read })
    return undefined
  }

  certificate(option: 'cert' | 'ca', pem: string | undefined): X509Certificate | undefined {
    if (pem === undefined) return undefined
    try {
      return new X509Certificate(pem)
    } catch {
      const hint = pem.includes('PRIVATE KEY-----')
        ? 'it holds a private key: give the file of the certificate here'
        : 'give a PEM file: one that holds the line -----BEGIN CERTIFICATE-----'
      this.#wrong(option, `${this.#files[option]} holds no certificate that can be read`, hint)
      return undefined
    }
  }

  privateKey(pem: string | undefined): KeyObject | undefined {
    if (pem === undefined) return undefined
    const { key: file, passphrase } = this.#files
    try {
      return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) })
    } catch {
      const isEncrypted = /ENCRYPTED/.test(pem)
      const message = isEncrypted
        ? `the private key in ${file} is encrypted${passphrase === undefined ? '' : ', and not with this passphrase'}`
        : `${file} holds no private key that can be read`
      const hint = isEncrypted
        ? 'give its passphrase, such as passphrase: ${env.KEY_PASSPHRASE}'
        : pem.includes('BEGIN CERTIFICATE-----')
          ? 'it holds a certificate: give the file of the key here'
          : 'give a PEM file: one that holds a line such as -----BEGIN PRIVATE KEY-----'
      this.#wrong('key', message, hint)
      return undefined
    }
  }

  pair(certificate: X509Certificate, key: KeyObject): void {
    if (certificate.checkPrivateKey(key)) return
    const { cert: certFile, key: keyFile } = this.#files
    const hint = 'give the files of one pair: the key with which this certificate was made'
    this.#wrong('key', `the key in ${keyFile} does not belong to the certificate in ${certFile}`, hint)
  }

  /** Our own certificate is of no use without its key. */
  bothOrNone(): void {
    const { cert, key } = this.#files
    if ((cert === undefined) === (key === undefined)) return
    const [given, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key']
    if (this.#report.isWrong([...this.#path, missing!])) return
    const message = `${given} is of no use without ${missing}`
    this.#report.add({ code: 'KEY_MISSING', path: [...this.#path, missing!], message, hint: 'give the files of both' })
  }

  #wrong(option: 'cert' | 'key' | 'ca', message: string, hint: string): void {
    const endpoint = formatPath(this.#path.slice(0, -1))
    const path = [...this.#path, option]
    this.#report.add({ code: 'TLS_FILE_INVALID', path, message: `${endpoint}: ${message}`, hint })
  }
}
