"""Writing recorded runs in the layouts that other tools read. What reads which: the README beside this file."""
