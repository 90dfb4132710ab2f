"""The page. The page imports gradio and the engine's front door, but neither torch nor diffusers."""
