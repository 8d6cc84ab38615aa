/** Levels of `LOG_LEVEL`, most severe first. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One line per event: a short sentence, and details that are appended as `key=value`. Never pass a secret. */
export type Logger = Record<LogLevel, (event: string, details?: LogDetails) => void>;
export type LogDetails = Readonly<Record<string, string | number | boolean | undefined>>;
