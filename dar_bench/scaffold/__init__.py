"""Plugin projects to start from: templates, and the code that writes one."""
