// The operations under test, numbered as in oracle.c, and what their operands and results are.

export type Datum = 'f32' | 'f64' | 'integer';

export type Operation = {
  /** Its place here, and in oracle.c. */
  readonly number: number;
  /** The function's name in SOFT_FLOAT. */
  readonly name: string;
  readonly operands: readonly Datum[];
  readonly result: Datum;
  /** Whether the function takes a rounding mode. */
  readonly rounds: boolean;
};

const INTEGERS = ['I32', 'U32', 'I64', 'U64'];

export const OPERATIONS: readonly Operation[] = [
  ...precision('f32'),
  ...precision('f64'),
  {name: 'f64.fromF32', operands: ['f32'], result: 'f64', rounds: true} as const,
  {name: 'f32.fromF64', operands: ['f64'], result: 'f32', rounds: true} as const,
].map((operation, number) => ({number, ...operation}));

function precision(f: 'f32' | 'f64'): Omit<Operation, 'number'>[] {
  const rounding = (name: string, operands: number): Omit<Operation, 'number'> => ({
    name: `${f}.${name}`,
    operands: Array<Datum>(operands).fill(f),
    result: f,
    rounds: true,
  });
  const exact = (name: string, operands: number, result: Datum): Omit<Operation, 'number'> => ({
    ...rounding(name, operands),
    result,
    rounds: false,
  });
  return [
    ...['add', 'sub', 'mul', 'div'].map((name) => rounding(name, 2)),
    rounding('sqrt', 1),
    rounding('fma', 3),
    ...['min', 'max'].map((name) => exact(name, 2, f)),
    ...['eq', 'lt', 'le'].map((name) => exact(name, 2, 'integer')),
    exact('class', 1, 'integer'),
    ...INTEGERS.map((integer) => ({...rounding(`to${integer}`, 1), result: 'integer' as const})),
    ...INTEGERS.map((integer) => ({...rounding(`from${integer}`, 1), operands: ['integer'] as const})),
  ];
}
