// Every instruction that there is in two bytes has an operation for that length.

import assert from 'node:assert/strict';
import {decode, INSTRUCTIONS} from '../../src/emulator/isa/decoder.ts';
import {COMPRESSED} from '../../src/emulator/isa/rv64c.ts';
import {INSTRUCTION_OPERATIONS, operationOf} from '../../src/emulator/wasm/operations.ts';

describe('compressed instructions', () => {
  const names = new Set<string>();
  for (let half = 0; half < 0x1_0000; half += 1) {
    const {index} = (half & 3) === 3 ? {index: -1} : decode(half, half);
    if (index >= 0) names.add(INSTRUCTIONS[index].name);
  }

  it('stand for these instructions', () => assert.deepEqual([...names].sort(), [...COMPRESSED].sort()));

  it('have operations of their own', () => {
    for (const {operation, instruction, lengthBytes} of INSTRUCTION_OPERATIONS)
      assert.equal(operationOf(INSTRUCTIONS.indexOf(instruction), lengthBytes), operation);
    assert.equal(
      new Set(INSTRUCTION_OPERATIONS.map(({operation}) => operation)).size,
      INSTRUCTIONS.length + COMPRESSED.length,
    );
  });
});
