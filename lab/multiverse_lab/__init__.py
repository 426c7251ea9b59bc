"""The lab: a throwaway bare Debian host, a small internet around it, and clients on its networks."""
