// Lowers expressions and statements (isa/expression.ts) to WebAssembly. What an operand is, where a result goes, and how guest
// memory is reached is the target's business: the interpreter and the translator are two targets of the same trees.

import {unreachable} from '../../errors.ts';
import type {
  Cell,
  Expr,
  FunctionDefinition,
  GuestAccess,
  LocalExpr,
  OperandName,
  Statement,
  SystemAction,
  ValueType,
} from '../isa/expression.ts';
import {Builder} from '../isa/expression.ts';
import {FFLAGS, RAM, RESERVATION} from '../layout.ts';
import {CodeWriter, type ModuleWriter} from './encoder.ts';

const CELLS: Record<Cell, number> = {fflags: FFLAGS, reservation: RESERVATION};

/** Pushes a value. */
export type Push = () => void;

export interface Target {
  readonly code: CodeWriter;
  /** The wasm local that holds the builder's local `id`. */
  localIndex(id: number): number;
  functionIndex(name: string): number;
  operand(name: OperandName): void;
  setRd(value: Push): void;
  setFd(value: Push): void;
  /** Boxed. */
  setFdSingle(value: Push): void;
  /** Goes to pc + imm when the condition holds. */
  branch(condition: Push): void;
  jump(target: Push): void;
  guestLoad(access: GuestAccess, address: Push): void;
  guestStore(access: GuestAccess, address: Push, value: Push): void;
  /** Pushes the offset in RAM of an aligned word or doubleword, checked for the intended access. */
  atomicAddress(sizeBytes: 4 | 8, intent: 'read' | 'write', address: Push): void;
  system(action: SystemAction): void;
  /** Puts something else in place of a call, and returns whether it did. */
  inlineCall?(callee: string, args: readonly Expr[]): boolean;
  /** Pushes the limit of inline floating point. */
  safe?(format: 'f32' | 'f64'): void;
}

export function lowerStatements(target: Target, statements: readonly Statement[]): void {
  for (const statement of statements) lowerStatement(target, statement);
}

function lowerStatement(target: Target, statement: Statement): void {
  const {code} = target;
  const push = (expr: Expr) => () => lowerExpr(target, expr);
  switch (statement.kind) {
    case 'set':
      lowerExpr(target, statement.value);
      code.localSet(target.localIndex(statement.local.id));
      return;
    case 'setCell':
      code.i32Const(0);
      lowerExpr(target, statement.value);
      code.memory('i32.store', CELLS[statement.cell]);
      return;
    case 'ramStore':
      lowerExpr(target, statement.address);
      lowerExpr(target, statement.value);
      code.memory(statement.access, RAM);
      return;
    case 'stateStore':
      lowerExpr(target, statement.index);
      lowerExpr(target, statement.value);
      code.memory(statement.access, statement.offset);
      return;
    case 'guestStore':
      target.guestStore(statement.access, push(statement.address), push(statement.value));
      return;
    case 'if':
      lowerExpr(target, statement.condition);
      if (statement.hint !== undefined) code.hint(statement.hint);
      code.if(
        () => lowerStatements(target, statement.then),
        statement.otherwise.length > 0 ? () => lowerStatements(target, statement.otherwise) : undefined,
      );
      return;
    case 'while':
      code.block((end) => {
        code.loop((start) => {
          lowerExpr(target, statement.condition);
          code.op('i32.eqz').branchIf(end);
          lowerStatements(target, statement.body);
          code.branch(start);
        });
      });
      return;
    case 'return':
      lowerExpr(target, statement.value);
      code.return();
      return;
    case 'setRd':
      target.setRd(push(statement.value));
      return;
    case 'setFd':
      target.setFd(push(statement.value));
      return;
    case 'setFdSingle':
      target.setFdSingle(push(statement.value));
      return;
    case 'branch':
      target.branch(push(statement.condition));
      return;
    case 'jump':
      target.jump(push(statement.target));
      return;
    case 'system':
      target.system(statement.action);
      return;
    default:
      unreachable(statement);
  }
}

export function lowerExpr(target: Target, expr: Expr): void {
  const {code} = target;
  const push = (e: Expr) => () => lowerExpr(target, e);
  switch (expr.kind) {
    case 'const':
      if (expr.type === 'i32') code.i32Const(Number(expr.value));
      else code.i64Const(expr.value);
      return;
    case 'operator':
      for (const arg of expr.args) lowerExpr(target, arg);
      code.op(expr.operator);
      return;
    case 'local':
      code.localGet(target.localIndex(expr.local.id));
      return;
    case 'operand':
      target.operand(expr.operand);
      return;
    case 'cell':
      code.i32Const(0).memory('i32.load', CELLS[expr.cell]);
      return;
    case 'safe':
      if (target.safe === undefined) throw new Error('only inline code has a limit');
      target.safe(expr.format);
      return;
    case 'ramLoad':
      lowerExpr(target, expr.address);
      code.memory(expr.access, RAM);
      return;
    case 'stateLoad':
      lowerExpr(target, expr.index);
      code.memory(expr.access, expr.offset);
      return;
    case 'guestLoad':
      target.guestLoad(expr.access, push(expr.address));
      return;
    case 'atomicAddress':
      target.atomicAddress(expr.sizeBytes, expr.intent, push(expr.address));
      return;
    case 'choose':
      lowerExpr(target, expr.condition);
      code.if(push(expr.then), push(expr.otherwise), expr.type);
      return;
    case 'select':
      lowerExpr(target, expr.then);
      lowerExpr(target, expr.otherwise);
      lowerExpr(target, expr.condition);
      code.select();
      return;
    case 'call':
      if (target.inlineCall?.(expr.callee, expr.args) === true) return;
      for (const arg of expr.args) lowerExpr(target, arg);
      code.call(target.functionIndex(expr.callee));
      return;
    default:
      unreachable(expr);
  }
}

/** Adds functions, which may call each other and `known` ones, to a module; returns the index of each by its name. */
export function addFunctions(
  module: ModuleWriter,
  definitions: readonly FunctionDefinition[],
  known: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const indices = new Map(known);
  for (const {name, params, result} of definitions) indices.set(name, module.declare({params, results: [result]}));
  for (const definition of definitions) {
    const builder = new Builder(definition.params.length);
    const params = definition.params.map((type, id): LocalExpr => ({kind: 'local', type, local: {id, type}}));
    definition.build(builder, ...params);
    const target = new FunctionTarget(indices);
    lowerStatements(target, builder.statements);
    target.code.unreachable();
    const locals: ValueType[] = builder.locals.map((local) => local.type);
    const {params: types, result} = definition;
    module.define(indices.get(definition.name) as number, {
      params: types,
      results: [result],
      locals,
      code: target.code,
    });
  }
  return indices;
}

/** A plain function: no operands, no guest memory. */
class FunctionTarget implements Target {
  readonly code = new CodeWriter();
  readonly #indices: ReadonlyMap<string, number>;

  constructor(indices: ReadonlyMap<string, number>) {
    this.#indices = indices;
  }

  localIndex(id: number): number {
    return id;
  }

  functionIndex(name: string): number {
    const index = this.#indices.get(name);
    if (index === undefined) throw new Error(`no function is called ${name}`);
    return index;
  }

  operand = notInFunctions;
  setRd = notInFunctions;
  setFd = notInFunctions;
  setFdSingle = notInFunctions;
  branch = notInFunctions;
  jump = notInFunctions;
  guestLoad = notInFunctions;
  guestStore = notInFunctions;
  atomicAddress = notInFunctions;
  system = notInFunctions;
}

function notInFunctions(): never {
  throw new Error('a function has no instruction to take this from');
}
