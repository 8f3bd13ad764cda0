// What the translator puts in place of a call of the most frequent functions: the case that the host's own arithmetic settles at
// once, and the call for all others. Same parameters and results as the functions, and same results: each case here is one
// of theirs (native.ts), or has no rounding and no flags at all.

import type {Builder, Expr, FunctionDefinition, LocalExpr} from '../expression.ts';
import {BINARY32, BINARY64, type Format, fromNative, native, toNative} from './format.ts';
import {returnIfSafe} from './native.ts';

/** By the name of the function that is called. */
export const INLINE: ReadonlyMap<string, FunctionDefinition> = new Map(
  [
    ...[BINARY32, BINARY64].flatMap((f) => [
      ...(['add', 'sub', 'mul', 'div'] as const).map((name) => arithmetic(f, name)),
      squareRoot(f),
      ...(['eq', 'lt', 'le'] as const).map((name) => comparison(f, name)),
    ]),
    exactConversion('fromI32', (b, x) => b.op('f64.convert_i32_s', b.wrap(x))),
    exactConversion('fromU32', (b, x) => b.op('f64.convert_i32_u', b.wrap(x))),
    smallInteger(),
    widening(),
  ].map((definition) => [definition.name, definition]),
);

function arithmetic(f: Format, name: 'add' | 'sub' | 'mul' | 'div'): FunctionDefinition {
  return {
    name: `${f.name}.${name}`,
    params: [f.pattern, f.pattern, 'i32'],
    result: f.pattern,
    build(b, x, y, rm) {
      const value = b.let(native(b, f, name, toNative(b, f, x), toNative(b, f, y)));
      returnIfSafe(b, f, {value, lowest: name === 'mul' || name === 'div' ? f.hidden * 2n : 0n, rm});
      b.return(b.call(f.pattern, `${f.name}.${name}`, x, y, rm));
    },
  };
}

function squareRoot(f: Format): FunctionDefinition {
  return {
    name: `${f.name}.sqrt`,
    params: [f.pattern, 'i32'],
    result: f.pattern,
    build(b, x, rm) {
      returnIfSafe(b, f, {value: b.let(native(b, f, 'sqrt', toNative(b, f, x))), lowest: 0n, rm});
      b.return(b.call(f.pattern, `${f.name}.sqrt`, x, rm));
    },
  };
}

/** Without a NaN comparisons raise nothing. */
function comparison(f: Format, name: 'eq' | 'lt' | 'le'): FunctionDefinition {
  return {
    name: `${f.name}.${name}`,
    params: [f.pattern, f.pattern],
    result: 'i32',
    build(b, x, y) {
      const left = (): Expr => toNative(b, f, x);
      const right = (): Expr => toNative(b, f, y);
      const isOrdered = b.and(native(b, f, 'eq', left(), left()), native(b, f, 'eq', right(), right()));
      b.if(isOrdered, () => b.return(native(b, f, name, left(), right())));
      b.return(b.call('i32', `${f.name}.${name}`, x, y));
    },
  };
}

/** Every 32-bit integer is a double. */
function exactConversion(name: string, convert: (b: Builder, x: LocalExpr) => Expr): FunctionDefinition {
  return {
    name: `f64.${name}`,
    params: ['i64', 'i32'],
    result: 'i64',
    build(b, x) {
      b.return(fromNative(b, BINARY64, convert(b, x)));
    },
  };
}

/** So is every integer of at most 53 bits. */
function smallInteger(): FunctionDefinition {
  return {
    name: 'f64.fromI64',
    params: ['i64', 'i32'],
    result: 'i64',
    build(b, x, rm) {
      const limit = 1n << 53n;
      const isSmall = b.ltU(b.add(x, b.i64(limit)), b.i64(2n * limit));
      b.if(isSmall, () => b.return(fromNative(b, BINARY64, b.op('f64.convert_i64_s', x))));
      b.return(b.call('i64', 'f64.fromI64', x, rm));
    },
  };
}

/** Every single but a NaN is a double. */
function widening(): FunctionDefinition {
  return {
    name: 'f64.fromF32',
    params: ['i32'],
    result: 'i64',
    build(b, x) {
      const single = (): Expr => toNative(b, BINARY32, x);
      b.if(native(b, BINARY32, 'eq', single(), single()), () =>
        b.return(fromNative(b, BINARY64, b.op('f64.promote_f32', single()))),
      );
      b.return(b.call('i64', 'f64.fromF32', x));
    },
  };
}
