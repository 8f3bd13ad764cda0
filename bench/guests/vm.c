// A bytecode interpreter that runs a small program (lengths of Collatz sequences): an indirect jump for every few instructions.
#include "bench.h"
#ifndef ITERATIONS
#define ITERATIONS 25000UL
#endif

enum { PUSH, LOAD, STORE, ADD, MUL, SHIFT, AND, LESS, JUMP, JUMP_ZERO, END };

static const uint8_t program[] = {
  // while (1 < n) { if (n & 1) n = n * 3 + 1; else n = n >> 1; steps = steps + 1; }
  PUSH, 1, LOAD, 0, LESS, JUMP_ZERO, 40,
  LOAD, 0, PUSH, 1, AND, JUMP_ZERO, 26,
  LOAD, 0, PUSH, 3, MUL, PUSH, 1, ADD, STORE, 0, JUMP, 31,
  LOAD, 0, SHIFT, STORE, 0,
  LOAD, 1, PUSH, 1, ADD, STORE, 1, JUMP, 0,
  END,
};

static uint64_t interpret(uint64_t n) {
  uint64_t variables[2] = {n, 0}, stack[16];
  int top = 0;
  for (uint32_t pc = 0;;) {
    switch (program[pc++]) {
      case PUSH: stack[top++] = program[pc++]; break;
      case LOAD: stack[top++] = variables[program[pc++]]; break;
      case STORE: variables[program[pc++]] = stack[--top]; break;
      case ADD: top--; stack[top - 1] += stack[top]; break;
      case MUL: top--; stack[top - 1] *= stack[top]; break;
      case SHIFT: stack[top - 1] >>= 1; break;
      case AND: top--; stack[top - 1] &= stack[top]; break;
      case LESS: top--; stack[top - 1] = stack[top - 1] < stack[top]; break;
      case JUMP: pc = program[pc]; break;
      case JUMP_ZERO: pc = stack[--top] == 0 ? program[pc] : pc + 1; break;
      default: return variables[1];
    }
  }
}

uint64_t bench_vm(void) {
  uint64_t sum = 0;
  for (uint64_t n = 1; n <= ITERATIONS; n++) sum = sum * 31 + interpret(n);
  return sum;
}
