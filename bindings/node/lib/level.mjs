// The same for `import`.

import level from './level.cjs';

export const { NyroLevel } = level;
