// Puts the body of a small function (isa/softfloat/inline.ts) in place of its call.

import {Builder, type FunctionDefinition, type LocalExpr, type Statement, type ValueType} from '../isa/expression.ts';
import {INLINE} from '../isa/softfloat/inline.ts';
import type {CodeWriter, Label} from './encoder.ts';
import {FunctionTarget, lowerStatements, type Push} from './lower.ts';

type Body = {definition: FunctionDefinition; statements: readonly Statement[]; localTypes: readonly ValueType[]};

const BODIES: ReadonlyMap<string, Body> = new Map([...INLINE].map(([name, definition]) => [name, build(definition)]));

/** What is around the call: its code, the functions it may call, its locals by name. */
export type CallSite = {
  code: CodeWriter;
  functions: ReadonlyMap<string, number>;
  local(name: string, type: ValueType): number;
};

/** Pushes the result; returns false, and does nothing, where the function is called as it is. */
export function inlineCall(site: CallSite, callee: string, args: readonly Push[]): boolean {
  const body = BODIES.get(callee);
  if (body === undefined) return false;
  const {code} = site;
  const locals = body.localTypes.map((type, id) => {
    const rank = body.localTypes.slice(0, id).filter((other) => other === type).length;
    return site.local(`inline.${type}.${rank}`, type);
  });
  const {name, result} = body.definition;
  const isDouble = name.startsWith('f64') && result === 'i64';
  const resultLocal = isDouble ? site.local('inline.double', 'f64') : site.local(`inline.result.${result}`, result);
  for (const [index, push] of args.entries()) {
    push();
    code.localSet(locals[index]);
  }
  code.block((end) => {
    lowerStatements(new InlineTarget({site, locals, resultLocal, isDouble, end}), body.statements);
    code.unreachable();
  });
  code.localGet(resultLocal);
  if (isDouble) code.op('i64.reinterpret_f64');
  return true;
}

function build(definition: FunctionDefinition): Body {
  const builder = new Builder(definition.params.length);
  const params = definition.params.map((type, id): LocalExpr => ({kind: 'local', type, local: {id, type}}));
  definition.build(builder, ...params);
  const localTypes = [...definition.params, ...builder.locals.map(({type}) => type)];
  return {definition, statements: builder.statements, localTypes};
}

class InlineTarget extends FunctionTarget {
  readonly #locals: readonly number[];
  readonly #resultLocal: number;
  /** The bits of a double are passed on as a double: on the way that it was computed there are no bits. */
  readonly #isDouble: boolean;
  readonly #end: Label;

  constructor(parts: {site: CallSite; locals: readonly number[]; resultLocal: number; isDouble: boolean; end: Label}) {
    super(parts.site.functions, parts.site.code);
    this.#locals = parts.locals;
    this.#resultLocal = parts.resultLocal;
    this.#isDouble = parts.isDouble;
    this.#end = parts.end;
  }

  override localIndex(id: number): number {
    return this.#locals[id];
  }

  returnValue(value: Push): void {
    value();
    if (this.#isDouble) this.code.op('f64.reinterpret_i64');
    this.code.localSet(this.#resultLocal).branch(this.#end);
  }
}
