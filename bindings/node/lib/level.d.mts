export * from './level.cjs';
