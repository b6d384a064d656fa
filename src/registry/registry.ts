import type { PartDefinition, SinkDefinition, StepDefinition } from '../contracts/define.ts'

/** The kinds of parts. Also, with an s behind, the folders of the parts and of their reference pages. */
export const partKinds = [
  'framing',
  'format',
  'step',
  'sink',
  'subscription',
] as const satisfies readonly PartDefinition['kind'][]

export type PartKind = (typeof partKinds)[number]

/** The definition of a part of one kind. */
export type DefinitionOf<Kind extends PartKind> = Extract<PartDefinition, { kind: Kind }>

/** The keys that may stand beside the one that names a step, and so name no step themselves. */
export const siblingKeys = ['id', 'if', 'else', 'timeout', 'retry', 'onError'] as const

/** The keys that may stand beside the one that names a subscription. */
export const subscribeKeys = ['format', 'key', 'dataflow', 'onError', 'limits'] as const

/**
 * The parts that a configuration may use. A value: a program or a test may have its own, and there is no global one.
 *
 * Steps and sinks stand in the same place of a configuration and so share one set of names; framings, formats and
 * subscriptions have one each.
 */
export class Registry {
  readonly #parts = new Map<string, PartDefinition>()

  /**
   * Takes a part.
   * @throws Error when the name is taken or is none; a mistake of the program, not of a configuration
   */
  add(definition: PartDefinition): this {
    const { kind, name } = definition
    if (!NAME.test(name)) {
      throw new Error(`${kind} "${name}": a name is made of letters and digits, in kebab-case or camelCase`)
    }
    if (isStepKind(kind) && (siblingKeys as readonly string[]).includes(name)) {
      throw new Error(`${kind} "${name}": this key has a meaning beside every step, so no step can have it as its name`)
    }
    if (kind === 'subscription' && (subscribeKeys as readonly string[]).includes(name)) {
      throw new Error(
        `${kind} "${name}": this key has a meaning beside every subscription, so none can have it as its name`,
      )
    }
    const taken = this.#parts.get(key(kind, name))
    if (taken !== undefined) throw new Error(`${kind} "${name}": there is a ${taken.kind} of this name already`)
    this.#parts.set(key(kind, name), definition)
    return this
  }

  /** The part of this kind and name, if there is one. */
  get<Kind extends PartKind>(kind: Kind, name: string): DefinitionOf<Kind> | undefined {
    const definition = this.#parts.get(key(kind, name))
    return definition?.kind === kind ? (definition as DefinitionOf<Kind>) : undefined
  }

  /** The step or sink of this name: what may stand in a dataflow. */
  find(name: string): StepDefinition | SinkDefinition | undefined {
    return this.get('step', name) ?? this.get('sink', name)
  }

  /** All parts of a kind, in the order in which they were added. */
  list<Kind extends PartKind>(kind: Kind): DefinitionOf<Kind>[] {
    const isOfKind = (definition: PartDefinition): definition is DefinitionOf<Kind> => definition.kind === kind
    return [...this.#parts.values()].filter(isOfKind)
  }

  /** The names of all parts of a kind, in the order in which they were added. */
  names(kind: PartKind): string[] {
    return this.list(kind).map(({ name }) => name)
  }

  /** A registry with the same parts; adding to one leaves the other as it is. */
  clone(): Registry {
    const copy = new Registry()
    for (const definition of this.#parts.values()) copy.add(definition)
    return copy
  }
}

const NAME = /^[a-z][a-z0-9]*(?:(?:-[a-z0-9]+)*|(?:[A-Z][a-z0-9]*)*)$/

function isStepKind(kind: PartKind): boolean {
  return kind === 'step' || kind === 'sink'
}

/** Steps and sinks share one set of names, so they share one prefix. */
function key(kind: PartKind, name: string): string {
  return `${isStepKind(kind) ? 'step' : kind} ${name}`
}
