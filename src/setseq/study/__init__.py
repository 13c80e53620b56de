"""The paper's user study as a tool: blind pairs of videos, shown and asked about."""
