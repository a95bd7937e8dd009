"""REPA and the methods that sample as it does: iREPA, HASTE, REPA-E."""
