import { resolve } from 'node:path'
import type { ConfigPath, Position, Problem } from './problems.ts'

/** A configuration as it was written: its value and where each part of it stands. */
export interface LoadedConfig {
  /** Undefined when the file is so broken that nothing can be said of what is in it. */
  readonly value: unknown
  /** The name of the file as it was given; '' for a value that came from no file. */
  readonly file: string
  /** What stands in it; undefined for a module, and for a value that came from no file. */
  readonly text?: string
  /** Absolute. Relative paths in the configuration start here. */
  readonly baseDir: string
  /** What is wrong with the file as such. */
  readonly problems: readonly Problem[]
  /** Absolute paths of what it was read from: files, and folders in which there may be more. */
  readonly watched: readonly string[]
  /** The path at which the value at a path is written: that below `defaults`, where it is given to several. */
  originOf(path: ConfigPath): ConfigPath
  /**
   * Where the value at a path stands; of what does not exist, where its nearest parent does. In the path is also the option
   * that a short form stands for, which is not in the text: it is where the short form is.
   */
  locate(path: ConfigPath): Position | undefined
  /** Where the key at the end of a path stands. */
  locateKey(path: ConfigPath): Position | undefined
  /** The number, truth value or text at a path as it is written, quotes included; undefined where that is not known. */
  sourceOf(path: ConfigPath): string | undefined
  /** Where a character of the text at a path stands. The offset counts UTF-16 units of the value. */
  locateText(path: ConfigPath, offset: number): Position | undefined
}

/** A configuration that is a value already: that of a module, or one that a program gives to the library. */
export function configOfValue(value: unknown, baseDir: string, file = ''): LoadedConfig {
  return {
    value,
    file,
    baseDir: resolve(baseDir),
    problems: [],
    watched: file === '' ? [] : [resolve(file)],
    originOf: (path) => path,
    locate: nowhere,
    locateKey: nowhere,
    sourceOf: nowhere,
    locateText: nowhere,
  }
}

const nowhere = () => undefined
